"""Drawings of dependencies that fit a page."""

from __future__ import annotations

from graphlib import TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from fastrun.observers.files.html.sketch import sketch


def test_small_graphs_are_drawn_task_by_task():
    drawn = sketch(["a", "b", "c"], [[], [0], [0, 1]])
    assert drawn.labels == ["a", "b", "c"]
    assert drawn.groups == [0, 1, 2]
    assert drawn.grouped == ""


def test_dependencies_that_follow_from_others_are_not_drawn_unless_they_are_wanted():
    needs = [[], [0], [0, 1], [0, 1, 2]]
    assert sketch(["a", "b", "c", "d"], needs).edges == [(0, 1), (1, 2), (2, 3)]
    assert sketch(["a", "b", "c", "d"], needs, [(0, 3)]).edges == [(0, 1), (0, 3), (1, 2), (2, 3)]


def test_tasks_may_stand_before_what_they_need():
    assert sketch(["c", "b", "a"], [[1], [2], []]).edges == [(1, 0), (2, 1)]


def test_many_tasks_are_grouped_by_names_that_differ_in_numbers():
    many = 1000
    labels = [f"compile:file{number}.c" for number in range(many)] + ["link", "test 1", "test 2"]
    drawn = sketch(labels, [[] for _ in range(many)] + [list(range(many)), [many], [many]])
    assert drawn.labels == ["compile:file…", "link", "test …"]
    assert drawn.edges == [(0, 1), (1, 2)]
    assert drawn.grouped == "by names that differ in numbers alone"


def test_where_that_is_not_enough_they_are_grouped_by_the_first_word():
    words = ["".join(chr(97 + number // 26**place % 26) for place in range(3)) for number in range(400)]
    drawn = sketch([f"get-{word}" for word in words] + [f"put-{word}" for word in words], [[] for _ in range(800)])
    assert drawn.labels == ["get-…", "put-…"]
    assert drawn.grouped == "by the first word of their names"


def test_groups_of_equal_names_say_at_which_step_they_are():
    # 400 chains of two.
    drawn = sketch([f"t{number}" for number in range(800)], [[]] * 400 + [[number] for number in range(400)])
    assert drawn.labels == ["t… (step 1)", "t… (step 2)"]


def test_a_long_chain_is_drawn_in_steps():
    many = 100_000
    drawn = sketch([str(number) for number in range(many)], [[]] + [[number] for number in range(many - 1)])
    assert drawn.labels[0] == "steps 1 to 1667"
    assert len(drawn.edges) == len(drawn.labels) - 1 == 59


def test_nothing_to_draw():
    assert sketch([], []).labels == []


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[list[int]]]:
    many = draw(st.integers(1, 30))
    word = st.sampled_from(["a", "b1", "b2", "c:x", ""])
    labels = [f"{draw(word)}{number if draw(st.booleans()) else ''}" for number in range(many)]
    places = draw(st.permutations(range(many)))
    needs: list[list[int]] = [[] for _ in range(many)]
    for place in range(1, many):
        needs[places[place]] = draw(
            st.lists(st.integers(0, place - 1).map(places.__getitem__), max_size=2, unique=True)
        )
    return labels, needs


@given(graphs(), st.integers(1, 10))
def test_drawing_has_no_cycle_and_shows_all_dependencies(graph, nodes):
    labels, needs = graph
    drawn = sketch(labels, needs, nodes=nodes)
    assert len(drawn.labels) <= nodes
    assert set(drawn.groups) == set(range(len(drawn.labels)))
    before: dict[int, set[int]] = {group: set() for group in range(len(drawn.labels))}
    for a, b in drawn.edges:
        before[b].add(a)
    reached: dict[int, set[int]] = {}
    for group in TopologicalSorter(before).static_order():
        reached[group] = set().union({group}, *(reached[other] for other in before[group]))
    for task, others in enumerate(needs):
        assert all(drawn.groups[other] in reached[drawn.groups[task]] for other in others)

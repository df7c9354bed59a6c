"""The tasks of a document as numbers, and the edges between them."""

from __future__ import annotations

from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.parse import read
from fastrun.document.task import Task
from fastrun.plan.graph import Graph, build, durations
from tests.support.documents import document, exec_, graph_of
from tests.support.strategies import graphs


def dependents(graph: Graph, number: int) -> list[int]:
    return list(graph.dependents_of(number))


@given(graphs())
def test_dependents_are_the_dependencies_reversed(edges):
    graph = graph_of(edges)
    assert list(graph.waiting_on) == [len(found) for found in edges]
    for number in range(len(edges)):
        assert dependents(graph, number) == [task for task, found in enumerate(edges) if number in found]


@given(graphs())
def test_the_reverse_of_a_graph_has_dependencies_as_dependents(edges):
    graph = graph_of(edges)
    reverse = graph.reverse()
    for number, found in enumerate(edges):
        assert dependents(reverse, number) == sorted(found)
        assert reverse.waiting_on[number] == len(dependents(graph, number))
    assert sorted(reverse.order) == list(range(len(edges)))


@given(graphs())
def test_the_order_is_one_that_graphlib_takes(edges):
    sorter = TopologicalSorter(dict(enumerate(edges)))
    sorter.prepare()
    ready: set[int] = set()
    for number in graph_of(edges).order:
        ready.update(sorter.get_ready())
        assert number in ready
        sorter.done(number)
    assert not sorter.is_active()


@given(graphs(), st.data())
def test_what_is_reached_is_all_that_depends_on_a_task(edges, data):
    graph = graph_of(edges)
    first = data.draw(st.sets(st.sampled_from(range(len(edges))))) if edges else set()
    expected = set(first)
    for number in TopologicalSorter(dict(enumerate(edges))).static_order():
        if expected.intersection(edges[number]):
            expected.add(number)
    assert graph.reached(first) == expected


@given(graphs(), st.data())
def test_longest_paths_are_those_of_a_simple_model(edges, data):
    graph = graph_of(edges)
    weights = [data.draw(st.integers(0, 9)) for _ in edges]
    # Pushed from dependents to dependencies; the graph pulls.
    paths = list(weights)
    for number in reversed(list(TopologicalSorter(dict(enumerate(edges))).static_order())):
        for dependency in edges[number]:
            paths[dependency] = max(paths[dependency], weights[dependency] + paths[number])
    assert graph.longest_paths(weights) == paths
    for number in range(len(edges)):
        path = graph.longest_path(number, paths)
        assert path[0] == number
        assert all(before in edges[behind] for before, behind in pairwise(path))
        assert sum(weights[task] for task in path) == paths[number]
        assert not dependents(graph, path[-1])
    critical = graph.critical_path(weights)
    assert sum(weights[task] for task in critical) == max(paths, default=0)


@given(graphs())
def test_a_ranked_copy_leaves_the_graph_as_it_was(edges):
    graph = graph_of(edges)
    before = list(graph.ranks)
    copy = graph.copy()
    copy.shuffle(1)
    graph.copy().rank_by({str(number): 1.0 * number for number in range(len(edges))})
    assert list(graph.ranks) == before
    assert (list(copy.order), copy.tasks, copy.shuffled) == (list(graph.order), graph.tasks, True)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [({}, ([0.0, 0.0, 0.0], 0)), ({"x": 9.0}, ([0.0] * 3, 0)), ({"0": 1.0, "2": 5.0, "x": 9.0}, ([1.0, 3.0, 5.0], 2))],
)
def test_a_duration_that_is_not_recorded_is_the_mean_of_the_others(recorded, expected):
    assert durations(graph_of([[], [], []]).tasks, recorded) == expected


@given(graphs())
def test_ranks_are_the_distance_to_the_longest_path(edges):
    graph = graph_of(edges)

    @cache
    def path(task: int) -> int:
        return 1 + isqrt(len(edges[task]) or 1) + max(map(path, dependents(graph, task)), default=0)

    if any(edges):
        paths = [path(task) for task in range(len(edges))]
        assert list(graph.ranks) == [max(paths) - found for found in paths]
    else:
        assert list(graph.ranks) == []


@pytest.mark.parametrize(
    ("edges", "ranks"),
    [
        ([[], [0], [1]], [0, 2, 4]),
        ([[1], [2], []], [4, 2, 0]),
        # A task with four dependencies is longer than a task with one, and shorter than two of them.
        ([[], [], [], [], [0, 1, 2, 3], [], [5], [6]], [1, 1, 1, 1, 3, 0, 2, 4]),
        # A task without dependencies is as long as a task with one.
        ([[], [], [1], [2]], [4, 0, 2, 4]),
    ],
)
def test_ranks_weigh_a_task_by_what_it_merges(edges, ranks):
    assert list(graph_of(edges).ranks) == ranks


def test_a_dependency_named_twice_counts_once():
    graph = graph_of([[], [0, 0, 0]])
    assert graph.waiting_on[1] == 1
    assert dependents(graph, 0) == [1]


@pytest.mark.parametrize("order", [1, -1])
def test_a_chain_of_100_000_tasks_works_in_either_direction(order):
    size = 100_000
    tasks = [Task(str(number), "exec", "", [str(number - 1)] if number else []) for number in range(size)][::order]
    assert (
        sum(build(read(document(*[exec_(task.name, "", *task.dependencies) for task in tasks]), "d")).waiting_on)
        == size - 1
    )

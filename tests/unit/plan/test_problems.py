"""What is wrong with the names of a document."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.parse import parse, read
from fastrun.document.problems import SpecError
from fastrun.plan.graph import build
from tests.support.documents import document, exec_, graph_of


def error_of(edges: list[list[int]]) -> str:
    with pytest.raises(SpecError) as caught:
        graph_of(edges)
    return str(caught.value)


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=3), min_size=7, max_size=7),
)
def test_a_cycle_is_found_exactly_where_graphlib_finds_one(edges):
    try:
        TopologicalSorter(dict(enumerate(edges))).prepare()
    except CycleError:
        printed = error_of(edges).rpartition(": ")[2].split(" -> ")
        assert printed[0] == printed[-1]
        for task, dependency in pairwise(printed):
            assert int(dependency) in edges[int(task)]
    else:
        graph_of(edges)


def test_the_shortest_cycle_is_printed_from_its_first_task_with_its_location():
    data = b"""{"tasks": [
{"name": "long", "type": "exec", "arguments": "", "dependencies": ["c"]},
{"name": "a", "type": "exec", "arguments": "", "dependencies": ["long", "b"]},
{"name": "b", "type": "exec", "arguments": "", "dependencies": ["a"]},
{"name": "c", "type": "exec", "arguments": "", "dependencies": ["b"]}
]}"""
    with pytest.raises(SpecError) as caught:
        build(parse(data, "f.json"))
    assert str(caught.value) == "f.json:3:73: the tasks depend on each other in a cycle: a -> b -> a"


def test_a_task_that_depends_on_itself_is_a_cycle():
    assert error_of([[0]]).endswith("in a cycle: 0 -> 0")


def test_a_long_cycle_is_printed_in_part():
    size = 100_000
    text = error_of([[(number + 1) % size] for number in range(size)])
    assert "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> ... 99,989 more ... -> 99995 ->" in text
    assert text.endswith("-> 99999 -> 0")


def test_an_unknown_dependency_gets_the_nearest_name():
    with pytest.raises(SpecError) as caught:
        build(read(document(exec_("compile", ""), exec_("link", "", "complie", "zzz")), "document"))
    assert str(caught.value).splitlines() == [
        'document: $.tasks[1].dependencies[0]: unknown dependency "complie"; did you mean "compile"?',
        'document: $.tasks[1].dependencies[1]: unknown dependency "zzz"',
    ]


def test_the_nearest_of_very_many_names_is_found():
    tasks = [exec_(f"task{number:06}", "") for number in range(20_000)]
    with pytest.raises(SpecError, match='did you mean "task012345"'):
        build(read(document(*tasks, exec_("x", "", "taks012345")), "document"))


def test_names_are_shown_so_that_they_cannot_forge_a_line():
    with pytest.raises(SpecError) as caught:
        build(read(document(exec_("a", "", "x\nok  y")), "document"))
    assert str(caught.value) == 'document: $.tasks[0].dependencies[0]: unknown dependency "x\\nok  y"'


def test_a_cycle_is_found_beside_other_problems_and_not_where_names_are_ambiguous():
    tasks = [exec_("a", "", "b", "nowhere"), exec_("b", "", "a"), exec_("c", "") | {"arguments": 1}]
    with pytest.raises(SpecError) as caught:
        build(read(document(*tasks), "d"))
    assert [line.split(": ", 2)[2] for line in caught.value.lines] == [
        'unknown dependency "nowhere"',
        "the tasks depend on each other in a cycle: a -> b -> a",
        '"arguments" must be a string or an array, not a number',
    ]
    with pytest.raises(SpecError) as caught:
        build(read(document(exec_("a", "", "b"), exec_("b", "", "a"), exec_("a", "")), "d"))
    assert len(caught.value.lines) == 1


def test_a_cycle_before_a_long_chain_is_found_without_walking_the_chain_again_and_again():
    size = 30_000
    # The chain comes first in the file and hangs behind the cycle.
    assert error_of([[number + 1] for number in range(size)] + [[size + 1], [size]]).endswith(
        f"{size} -> {size + 1} -> {size}"
    )

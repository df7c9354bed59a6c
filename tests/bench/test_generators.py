"""Tests of the documents that the benchmarks run."""

from __future__ import annotations

import os
import subprocess
import sys
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import pytest

import bench
import fastrun
from bench.generators import (
    MAKES,
    SHAPES,
    binary_tree,
    deep,
    diamond,
    distinct_snippet,
    gated,
    layered,
    mixed,
    random_dag,
    same_snippet,
    shaped,
    true_command,
    wide,
)
from tests.support.processes import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

MAKERS: dict[str, Callable[[int], dict[str, Any]]] = {
    shape: lambda n, shape=shape: shaped(shape, n, distinct_snippet, width=5, before=4, seed=1)  # type: ignore[misc]
    for shape in SHAPES
}
MAKERS["layered, narrow"] = lambda n: layered(n, 2, 3, distinct_snippet, seed=1)

# The smallest numbers, with which shapes degenerate, and two that are no multiple of a layer's width.
COUNTS = [0, 1, 2, 3, 4, 5, 6, 17, 203]


def _edges(document: dict[str, Any]) -> list[list[int]]:
    """Return the dependencies of each task as numbers."""
    numbers = {task["name"]: number for number, task in enumerate(document["tasks"])}
    return [[numbers[name] for name in task.get("dependencies", ())] for task in document["tasks"]]


@pytest.mark.parametrize("shape", MAKERS)
def test_every_shape_has_n_tasks_with_different_names_and_no_cycle(shape):
    for n in COUNTS:
        document = MAKERS[shape](n)
        assert list(document) == ["tasks"]
        assert len(document["tasks"]) == n
        assert len({task["name"] for task in document["tasks"]}) == n
        edges = _edges(document)
        assert all(len(found) == len(set(found)) for found in edges)
        order = list(TopologicalSorter(dict(enumerate(edges))).static_order())
        assert sorted(order) == list(range(n))


@pytest.mark.parametrize("shape", MAKERS)
def test_fastrun_loads_every_shape(shape):
    document = MAKERS[shape](17)
    assert [task.name for task in fastrun.load(document)] == [task["name"] for task in document["tasks"]]


@pytest.mark.parametrize("shape", MAKERS)
def test_same_arguments_give_the_same_document(shape):
    assert MAKERS[shape](100) == MAKERS[shape](100)


def test_another_seed_gives_another_document():
    assert layered(100, 10, 3, true_command, seed=1) != layered(100, 10, 3, true_command, seed=2)
    assert random_dag(100, 3, true_command, seed=1) != random_dag(100, 3, true_command, seed=2)


def test_wide_has_no_dependencies():
    assert _edges(wide(4, true_command)) == [[], [], [], []]


def test_deep_is_a_chain():
    assert _edges(deep(4, true_command)) == [[], [0], [1], [2]]


def test_chain_may_be_long():
    assert _edges(deep(20_000, true_command))[-1] == [19_998]


@pytest.mark.parametrize(
    ("n", "edges"),
    [(1, [[]]), (2, [[], [0]]), (3, [[], [0], [1]]), (5, [[], [0], [0], [0], [1, 2, 3]])],
)
def test_diamond_is_a_source_a_middle_and_a_sink(n, edges):
    assert _edges(diamond(n, true_command)) == edges


def test_layered_depends_on_fan_in_tasks_of_the_layer_before():
    for number, found in enumerate(_edges(layered(47, 10, 3, true_command))):
        assert len(found) == (3 if number >= 10 else 0)
        assert {dependency // 10 for dependency in found} <= {number // 10 - 1}


def test_layered_depends_on_a_whole_layer_that_is_no_wider_than_fan_in():
    assert [sorted(found) for found in _edges(layered(5, 2, 3, true_command))] == [[], [], [0, 1], [0, 1], [2, 3]]


def test_binary_tree_has_two_children_per_task():
    assert _edges(binary_tree(7, true_command)) == [[], [0], [0], [1], [1], [2], [2]]


def test_random_dag_depends_on_that_many_earlier_tasks():
    for number, found in enumerate(_edges(random_dag(100, 3, true_command))):
        assert len(found) == min(3, number)
        assert all(dependency < number for dependency in found)


def test_gated_has_a_failing_gate_between_the_first_tasks_and_the_rest():
    document = gated(5, 2, true_command)
    assert _edges(document) == [[], [], [0, 1], [2], [2]]
    assert [task["arguments"] for task in document["tasks"]] == ["true", "true", "sleep 0.1; false", "true", "true"]


def test_tasks_have_the_type_and_arguments_of_make():
    assert [(task["type"], task["arguments"]) for task in wide(2, true_command)["tasks"]] == [("exec", "true")] * 2
    assert [(task["type"], task["arguments"]) for task in wide(2, mixed)["tasks"]] == [
        ("exec", "true"),
        ("eval", "x = 1"),
    ]
    assert [task["arguments"] for task in wide(2, distinct_snippet)["tasks"]] == ["x = 0", "x = 1"]
    assert [(task["type"], task["arguments"]) for task in deep(2, same_snippet)["tasks"]] == [("eval", "pass")] * 2


@pytest.mark.parametrize(("shape", "make"), [*zip(SHAPES, MAKES, strict=False), ("wide", "mixed")])
def test_command_prints_a_document_that_fastrun_loads(shape, make, tmp_path):
    path = tmp_path / "document.json"
    root = os.path.dirname(os.path.dirname(bench.__file__))
    with path.open("wb") as file:
        command = [sys.executable, "-m", "bench.generators", shape, "50", make, "--before", "10"]
        subprocess.run(command, stdout=file, cwd=root, timeout=LIMIT, check=True)
    tasks = fastrun.load(path)
    assert len(tasks) == 50
    type_, arguments = MAKES[make](0)
    assert (tasks[0].type, tasks[0].arguments) == (
        type_,
        tuple(arguments) if isinstance(arguments, list) else arguments,
    )

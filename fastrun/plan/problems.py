"""What is wrong with the names of a document: used twice, unknown, or in a cycle.

Knows a document and the graph of it. Imported only once something is wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from fastrun.document.problems import PROBLEMS_SHOWN, Problem, unknown_pool
from fastrun.text import meant, printable

if TYPE_CHECKING:
    from fastrun.document.task import Document
    from fastrun.plan.graph import Graph

# Most steps of the search for the shortest cycle; a second or so. The first cycle is found well before.
_SEARCH_STEPS = 2_000_000

# Most names that are printed of a cycle.
_CYCLE_SHOWN = 12


def problems_of(document: Document, graph: Graph) -> list[Problem]:
    """Return what is wrong with the names of a document. ``graph``: without the names that no task has."""
    numbers = {task.name: number for number, task in enumerate(document.tasks)}
    found = [*_used_twice(document), *_unknown_names(document, numbers)]
    # With a name used twice it is not known what depends on what.
    if len(numbers) == len(graph) and len(graph.order) < len(graph):
        found.append(_cycle_problem(document, shortest_cycle(graph)))
    return found


def _used_twice(document: Document) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for task, position in zip(document.tasks, document.positions, strict=True):
        before = first.setdefault(task.name, position)
        if before != position:
            path = ("tasks", position, "name")
            message = f'name "{task.label}" is used twice'
            yield Problem(path, message, other=("tasks", before, "name"))


def _unknown_names(document: Document, numbers: Collection[str]) -> Iterator[Problem]:
    names, pools = list(numbers), list(document.pools)
    # To look for the nearest name takes long, and only the first problems are shown.
    hints = PROBLEMS_SHOWN
    for task, position in zip(document.tasks, document.positions, strict=True):
        if task.pool is not None and task.pool not in document.pools:
            hint = meant(task.pool, pools) if hints > 0 else ""
            hints -= 1
            yield Problem(("tasks", position, "pool"), unknown_pool(task.pool) + hint)
        for entry, name in enumerate(task.dependencies):
            if name not in numbers:
                hint = meant(name, names) if hints > 0 else ""
                hints -= 1
                yield Problem(
                    ("tasks", position, "dependencies", entry), f'unknown dependency "{printable(name)}"{hint}'
                )


def shortest_cycle(graph: Graph) -> list[int]:
    """Return the shortest cycle of a graph that has one, each task followed by one that depends on it."""
    left = _around_cycles(graph)
    shortest: list[int] = []
    steps = 0
    for start, is_left in enumerate(left):
        if is_left and (not shortest or steps < _SEARCH_STEPS):
            cycle, walked = _cycle_through(graph, left, start, len(shortest))
            steps += walked
            shortest = cycle or shortest
    return shortest


def _around_cycles(graph: Graph) -> bytearray:
    """Return for each task 1 if it is on a cycle or on a path between two of them, else 0."""
    left = bytearray(b"\1") * len(graph)
    for number in graph.order:
        left[number] = 0
    # What is left is on a cycle or behind one. A task that nothing left depends on is behind all of them.
    needed = graph.reverse()
    for number in needed.order:
        left[number] = 0
    return left


def _cycle_through(graph: Graph, left: Sequence[int], start: int, limit: int) -> tuple[list[int], int]:
    """Return the shortest cycle through a task if it is shorter than ``limit`` (0: any), and the steps walked."""
    previous = {start: start}
    depth = {start: 1}
    queue = deque([start])
    while queue:
        number = queue.popleft()
        if limit and depth[number] >= limit:
            break
        for dependent in graph.dependents_of(number):
            if dependent == start:
                cycle = [number]
                while number != start:
                    number = previous[number]
                    cycle.append(number)
                return cycle[::-1], len(previous)
            if left[dependent] and dependent not in previous:
                previous[dependent] = number
                depth[dependent] = depth[number] + 1
                queue.append(dependent)
    return [], len(previous)


def _cycle_problem(document: Document, cycle: list[int]) -> Problem:
    # As people write it: each task followed by one that it depends on, from the first in the document.
    cycle.reverse()
    start = cycle.index(min(cycle))
    cycle = [*cycle[start:], *cycle[: start + 1]]
    task = document.tasks[cycle[0]]
    entry = list(task.dependencies).index(document.tasks[cycle[1]].name)
    labels = [document.tasks[number].label for number in cycle]
    if len(labels) > _CYCLE_SHOWN:
        hidden = len(labels) - _CYCLE_SHOWN
        labels[_CYCLE_SHOWN // 2 : -_CYCLE_SHOWN // 2] = [f"... {hidden:,} more ..."]
    path = ("tasks", document.positions[cycle[0]], "dependencies", entry)
    return Problem(path, f"the tasks depend on each other in a cycle: {' -> '.join(labels)}")

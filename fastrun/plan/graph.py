"""Names to dense integers: who depends on whom.

Knows the tasks of a document and their order. Does not know what has run. Tasks are numbers from 0 in the
order of the document; edges lie in flat arrays, 4 bytes each. Nothing here is recursive: a chain of a
million works.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isqrt
from typing import TYPE_CHECKING

from fastrun.document.problems import PROBLEMS_SHOWN, Problem, Source
from fastrun.document.task import Document, Task
from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.document.locations import Places

# Steps of the search for the shortest cycle; a second or so. The first cycle met is found well before.
_SEARCH_STEPS = 2_000_000

# Names printed of a longer cycle.
_CYCLE_SHOWN = 12

# Bytes of a document that are kept to find the places of tasks in. To look into a longer one takes too long as well.
_TEXT_KEPT = 1 << 22


class Graph:
    """Tasks and the edges between them.

    ``tasks``: in the order of the document.
    ``waiting_on``: for each task, the number of tasks it depends on.
    ``offsets``, ``dependents``: the tasks that depend on task ``i`` are
    ``dependents[offsets[i]:offsets[i + 1]]``, in the order of the document.
    ``ranks``: for each task a number of which the lower should start first, see ``_ranks``; empty if all are equal.
    ``shuffled``: whether that order was asked for, so that no durations change it.
    ``special``, ``pools``: see ``Document``. ``whole``: for a part of a graph that one and which of its tasks are here.
    ``source``: where the document came from, without its text if that is long.
    """

    __slots__ = (
        "_places",
        "dependents",
        "offsets",
        "pools",
        "ranks",
        "shuffled",
        "source",
        "special",
        "tasks",
        "waiting_on",
        "whole",
    )

    def __init__(self, tasks: list[Task], waiting_on: array[int], edges: array[int]) -> None:
        """``edges``: the dependencies of task 0, then those of task 1 and so on."""
        self.tasks = tasks
        self.waiting_on = waiting_on
        self.offsets, self.dependents = _reverse(waiting_on, edges)
        self.ranks = array("i")
        self.shuffled = False
        self.special: Sequence[int] = ()
        self.pools: Mapping[str, int] = {}
        self.whole: tuple[Graph, Sequence[int]] | None = None
        self.source = Source("document")
        self._places: Places | None = None

    def __len__(self) -> int:
        return len(self.tasks)

    def copy(self) -> Graph:
        """Return a graph that shares all with this one. What ranks one of them leaves the other as it is."""
        other = Graph.__new__(Graph)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def rank_by(self, recorded: Mapping[str, float]) -> None:
        """Let the task with the longest path behind it start first, by seconds that tasks took before.

        ``recorded``: by name. A task that is not in it counts as the mean of those that are. Nothing changes if none is,
        or if the graph is shuffled.
        """
        known = [recorded[task.name] for task in self.tasks if task.name in recorded]
        if not known or self.shuffled:
            return
        mean = sum(known) / len(known)
        paths = [0.0] * len(self)
        for number in reversed(_order(self)):
            behind = self.dependents[self.offsets[number] : self.offsets[number + 1]]
            longest = max([paths[dependent] for dependent in behind], default=0.0)
            paths[number] = longest + recorded.get(self.tasks[number].name, mean)
        # In microseconds: whole numbers.
        whole = [round(path * 1e6) for path in paths]
        longest_of_all = max(whole)
        self.ranks = array("q", [longest_of_all - path for path in whole])

    def shuffle(self, seed: int) -> None:
        """Let ready tasks start in an order that is random, and the same for the same seed and number of tasks."""
        from random import Random  # 5 ms, and few need it

        ranks = list(range(len(self)))
        Random(seed).shuffle(ranks)  # noqa: S311  # nobody gains by guessing it
        self.ranks = array("i", ranks)
        self.shuffled = True

    def place(self, number: int) -> str:
        """Where in its document a task is: ``FILE:LINE:COLUMN``, or its position if there is no text to look in."""
        if self.whole is not None:
            whole, numbers = self.whole
            return whole.place(numbers[number])
        if self.source.data is None:
            return f"task {number + 1} of the document"
        return self._all_places().show(("tasks", number))

    def position(self, number: int) -> tuple[int, int] | None:
        """The line and the column at which a task begins in its document, from 1; None if there is no text."""
        if self.whole is not None:
            whole, numbers = self.whole
            return whole.position(numbers[number])
        return None if self.source.data is None else self._all_places().find(("tasks", number))

    def _all_places(self) -> Places:
        if self._places is None:
            from fastrun.document.locations import Places

            self._places = Places(self.source.name, self.source.data)
        return self._places


def build(document: Document) -> Graph:
    """Resolve the names of a document.

    Raises SpecError with everything that is wrong with the document: what reading it found, names used
    twice, unknown dependencies and, unless names are used twice, a cycle.
    """
    tasks = document.tasks
    problems = list(document.problems)
    numbers = {task.name: number for number, task in enumerate(tasks)}
    if len(numbers) < len(tasks):
        problems += _twice(document)
    problems += _unknown_pools(document)
    waiting_on, edges, forward = _resolve(document, numbers, problems)
    ambiguous = len(numbers) < len(tasks)
    del numbers
    graph = Graph(tasks, waiting_on, edges)
    # Where every task comes after its dependencies there can be no cycle: most documents are made so.
    order: Sequence[int] = range(len(tasks))
    if not forward and not ambiguous:
        order = _order(graph)
        if len(order) < len(tasks):
            problems.append(_cycle_problem(document, _find_cycle(graph, edges, order)))
    if problems:
        raise document.source.error(problems)
    if edges:
        graph.ranks = _ranks(waiting_on, edges, order)
    graph.special = document.special
    graph.pools = document.pools
    if document.source.data is not None and len(document.source.data) <= _TEXT_KEPT:
        graph.source = document.source
    return graph


def _resolve(
    document: Document, numbers: dict[str, int], problems: list[Problem]
) -> tuple[array[int], array[int], bool]:
    """Turn names into numbers; unknown ones are added to ``problems``.

    Returns the number of dependencies of each task, those of task 0, of task 1 and so on, and whether every task
    stands behind all of its own.
    """
    waiting_on = array("i", bytes(4 * len(document.tasks)))
    edges = array("i")
    forward = True
    number_of = numbers.__getitem__
    for number, task in enumerate(document.tasks):
        names = task.dependencies
        if not names:
            continue
        try:
            found = list(map(number_of, names))
        except KeyError:
            problems += _unknown(document, number, numbers, len(problems))
            found = [numbers[name] for name in names if name in numbers]
        if len(found) > 1 and len(set(found)) < len(found):
            found = list(dict.fromkeys(found))
        waiting_on[number] = len(found)
        edges.fromlist(found)
        if forward and found and max(found) >= number:
            forward = False
    return waiting_on, edges, forward


def _ranks(waiting_on: array[int], edges: array[int], order: Sequence[int]) -> array[int]:
    """Return for each task how much shorter its path is than the longest path through the graph.

    A task's path is the longest that begins with it. Where slots are short the longest path should start first.
    Durations are not known, so a task counts as 1 and the square root of the number of its dependencies: a task that
    merges many results mostly takes longer than a task that made one of them. A task without dependencies counts as
    a task with one does, so that it loses no tie.

    Simulated on six published scientific workflows with 4 and 16 slots, such a schedule takes 0.2 % and 1.0 % longer
    on average (3 % at most) than a schedule that knows the durations. The order of the document takes 0.4 % and 2.6 %
    longer (9 % at most), the number of tasks on the path alone 1.2 % and 1.3 % (6 % at most).

    ``order``: the tasks, each behind its dependencies.
    """
    paths = array("i", bytes(4 * len(waiting_on)))
    ends = array("i", accumulate(waiting_on))
    for task in reversed(order):
        count = waiting_on[task]
        path = paths[task] = paths[task] + 1 + isqrt(count or 1)
        if count:
            end = ends[task]
            for dependency in edges[end - count : end]:
                if paths[dependency] < path:
                    paths[dependency] = path
    longest = max(paths)
    return array("i", [longest - path for path in paths])


def _reverse(counts: array[int], edges: array[int]) -> tuple[array[int], array[int]]:
    """Turn each task's dependencies into each task's dependents: a counting sort, linear in the edges."""
    sizes = array("i", bytes(4 * (len(counts) + 1)))
    for dependency in edges:
        sizes[dependency + 1] += 1
    offsets = array("i", accumulate(sizes))
    place = array("i", offsets)
    dependents = array("i", bytes(4 * len(edges)))
    position = 0
    for number, count in enumerate(counts):
        for dependency in edges[position : position + count]:
            dependents[place[dependency]] = number
            place[dependency] += 1
        position += count
    return offsets, dependents


def _twice(document: Document) -> list[Problem]:
    first: dict[str, int] = {}
    problems = []
    for task, position in zip(document.tasks, document.positions, strict=True):
        before = first.setdefault(task.name, position)
        if before != position:
            path = ("tasks", position, "name")
            message = f'name "{task.label}" is used twice'
            problems.append(Problem(path, message, other=("tasks", before, "name")))
    return problems


def _unknown(document: Document, number: int, numbers: dict[str, int], found_before: int) -> list[Problem]:
    problems: list[Problem] = []
    for entry, name in enumerate(document.tasks[number].dependencies):
        if name in numbers:
            continue
        message = f'unknown dependency "{printable(name)}"'
        if found_before + len(problems) < PROBLEMS_SHOWN:
            from fastrun.text import nearest

            near = nearest(name, list(numbers))
            if near is not None:
                message += f'; did you mean "{printable(near)}"?'
        problems.append(Problem(("tasks", document.positions[number], "dependencies", entry), message))
    return problems


def _unknown_pools(document: Document) -> list[Problem]:
    problems: list[Problem] = []
    for number in document.special:
        pool = document.tasks[number].pool
        if pool is None or pool in document.pools:
            continue
        message = f'unknown pool "{printable(pool)}": it is not in the document\'s "pools"'
        if len(problems) < PROBLEMS_SHOWN:
            from fastrun.text import nearest

            near = nearest(pool, list(document.pools))
            if near is not None:
                message += f'; did you mean "{printable(near)}"?'
        problems.append(Problem(("tasks", document.positions[number], "pool"), message))
    return problems


def _order(graph: Graph) -> list[int]:
    """The tasks, each behind its dependencies; those on a cycle, and all that depend on them, are missing."""
    left = list(graph.waiting_on)
    order = [number for number, count in enumerate(left) if not count]
    for number in order:
        for dependent in graph.dependents[graph.offsets[number] : graph.offsets[number + 1]]:
            left[dependent] -= 1
            if not left[dependent]:
                order.append(dependent)
    return order


def _find_cycle(graph: Graph, edges: array[int], order: Sequence[int]) -> list[int]:
    """The shortest cycle found, each task followed by one that depends on it. ``order``: as ``_order`` gives it."""
    left = list(graph.waiting_on)
    for number in order:
        for dependent in graph.dependents[graph.offsets[number] : graph.offsets[number + 1]]:
            left[dependent] -= 1
    # What is left lies on a cycle or behind one. What nothing left depends on is behind all of them.
    before = list(accumulate(graph.waiting_on, initial=0))
    awaited = [
        sum(1 for d in graph.dependents[graph.offsets[number] : graph.offsets[number + 1]] if left[d]) if count else 0
        for number, count in enumerate(left)
    ]
    stack = [number for number, count in enumerate(left) if count and not awaited[number]]
    while stack:
        number = stack.pop()
        left[number] = 0
        for dependency in edges[before[number] : before[number + 1]]:
            awaited[dependency] -= 1
            if left[dependency] and not awaited[dependency]:
                stack.append(dependency)
    shortest: list[int] = []
    steps = 0
    for start, count in enumerate(left):
        if count and (not shortest or steps < _SEARCH_STEPS):
            cycle, walked = _cycle_through(graph, left, start, len(shortest))
            steps += walked
            shortest = cycle or shortest
    return shortest


def _cycle_through(graph: Graph, left: Sequence[int], start: int, limit: int) -> tuple[list[int], int]:
    """The shortest cycle through a task if it is shorter than ``limit`` (0: any), and the steps walked."""
    previous = {start: start}
    depth = {start: 1}
    queue = deque([start])
    while queue:
        number = queue.popleft()
        if limit and depth[number] >= limit:
            break
        for dependent in graph.dependents[graph.offsets[number] : graph.offsets[number + 1]]:
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
    # Said as people write it, each task followed by one that it depends on, from the first in the document.
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

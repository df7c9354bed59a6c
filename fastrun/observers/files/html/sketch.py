"""The sketch of the dependencies, small enough for a person: of many tasks it shows groups.

Knows names and dependencies. Does not know how tasks ended, nor how the sketch is laid out on a page.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

# Most groups and edges of a drawing. A larger one tells a person nothing, and a browser takes seconds to lay it out.
NODES = 300
_EDGES = 900

# Steps into which a graph with too many levels is divided.
_STEPS = 60

_NUMBER = re.compile(r"\d+")
_REST = re.compile(r"[\d:/._\-#@ ].*", re.DOTALL)


class Sketch(NamedTuple):
    """Groups of tasks, and the dependencies between groups.

    ``groups``: by task, the number of its group. ``labels``: by group, its label. ``edges``: pairs of groups, the
    dependency first; edges that follow from others are left out. ``grouped``: how tasks were grouped, empty if each
    task is a group of its own.
    """

    groups: list[int]
    labels: list[str]
    edges: list[tuple[int, int]]
    grouped: str


# Returns a value for the number of a task. Tasks with equal values are in the same group.
_Key = Callable[[int], object]


def sketch(
    labels: Sequence[str],
    needs: Sequence[Sequence[int]],
    path: Iterable[tuple[int, int]] = (),
    *,
    nodes: int = NODES,
) -> Sketch:
    """Return a sketch of tasks, whose dependencies must not form a cycle.

    ``labels``: by task, its label. ``needs``: by task, the numbers of its dependencies. ``path``: pairs of dependency
    and dependent that are drawn in any case. ``nodes``: most groups.
    """
    levels = _levels(needs)
    wanted = list(path)
    for key, grouped in _keys(labels, levels, nodes):
        groups = _numbered(len(labels), key, nodes)
        if groups is None:
            continue
        many = max(groups, default=-1) + 1
        of_group = [0] * many
        for task, group in enumerate(groups):
            of_group[group] = levels[task]
        between = {(groups[a], groups[b]) for b, those in enumerate(needs) for a in those if groups[a] != groups[b]}
        edges = _reduced(of_group, between, {(groups[a], groups[b]) for a, b in wanted})
        if len(edges) <= _EDGES or grouped == _BY_STEPS:
            return Sketch(groups, _group_labels(labels, levels, groups, many), sorted(edges), grouped)
    raise AssertionError("the last key always fits")


_BY_STEPS = "by their distance from the beginning, in steps"


def _keys(labels: Sequence[str], levels: Sequence[int], nodes: int) -> Iterator[tuple[_Key, str]]:
    """Yield ways to group tasks, the finest first. Groups form no cycle: edges between them lead to higher levels."""
    if len(labels) <= nodes:
        yield (lambda task: task), ""
    yield (lambda task: (levels[task], _NUMBER.sub("*", labels[task]))), "by names that differ in numbers alone"
    yield (lambda task: (levels[task], _REST.sub("", labels[task]))), "by the first word of their names"
    yield (lambda task: levels[task]), "by their distance from the beginning"
    depth = max(levels, default=0) + 1
    steps = min(_STEPS, nodes)
    yield (lambda task: levels[task] * steps // depth), _BY_STEPS


def _levels(needs: Sequence[Sequence[int]]) -> list[int]:
    """Return, by task, the length of the longest chain of dependencies that leads to it."""
    levels = [-1] * len(needs)
    for task in range(len(needs)):
        # Usually the dependencies of a task come before it in the document.
        waiting = [task]
        while waiting:
            last = waiting[-1]
            missing = [other for other in needs[last] if levels[other] < 0]
            if missing:
                waiting += missing
            else:
                levels[last] = max([levels[other] for other in needs[last]], default=-1) + 1
                waiting.pop()
    return levels


def _numbered(many: int, key: _Key, most: int) -> list[int] | None:
    """Return, by task, the number of its group, None if there are too many groups."""
    numbers: dict[object, int] = {}
    groups = []
    for task in range(many):
        groups.append(numbers.setdefault(key(task), len(numbers)))
        if len(numbers) > most:
            return None
    return groups


def _reduced(levels: Sequence[int], edges: set[tuple[int, int]], wanted: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the edges that do not follow from others, and the wanted edges.

    ``levels``: by group, its level. Edges lead to higher levels.
    """
    after: list[list[int]] = [[] for _ in levels]
    for a, b in edges:
        after[a].append(b)
    # By group, a bit for each group that can be reached from it.
    reached = [0] * len(levels)
    kept = wanted & edges
    for a in sorted(range(len(levels)), key=levels.__getitem__, reverse=True):
        # The nearest first: the others may be reached through them.
        for b in sorted(after[a], key=levels.__getitem__):
            if not reached[a] >> b & 1:
                kept.add((a, b))
                reached[a] |= reached[b] | 1 << b
    return kept


def _group_labels(labels: Sequence[str], levels: Sequence[int], groups: Sequence[int], many: int) -> list[str]:
    """Return, by group, what its members' names have in common, or the members' steps."""
    members = [0] * many
    lowest, highest = [""] * many, [""] * many
    at, to = [0] * many, [0] * many
    for task, group in enumerate(groups):
        label, level = labels[task], levels[task]
        if not members[group]:
            lowest[group] = highest[group] = label
            at[group] = to[group] = level
        members[group] += 1
        lowest[group], highest[group] = min(lowest[group], label), max(highest[group], label)
        at[group], to[group] = min(at[group], level), max(to[group], level)
    found = [
        lowest[group] if members[group] == 1 else _group_label(lowest[group], highest[group], at[group], to[group])
        for group in range(many)
    ]
    # Groups of different steps may have the same label: the step tells them apart.
    same = {label for label, times in Counter(found).items() if times > 1}
    return [
        f"{label} (step {at[group] + 1})" if label in same and members[group] > 1 else label
        for group, label in enumerate(found)
    ]


def _group_label(lowest: str, highest: str, at: int, to: int) -> str:
    common = next((n for n, (a, b) in enumerate(zip(lowest, highest, strict=False)) if a != b), len(lowest))
    if common and at == to:
        return f"{lowest[:common]}…"
    return f"step {at + 1}" if at == to else f"steps {at + 1} to {to + 1}"

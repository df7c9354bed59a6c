"""A drawing of the dependencies that a person can take in: where there are many tasks, of groups of them.

Knows names and who needs whom. Does not know how tasks ended, nor where on a page anything stands.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

# Beyond these a drawing says nothing, and a browser takes seconds to lay it out.
NODES = 300
_EDGES = 900

# Steps that are drawn of a graph that has too many.
_STEPS = 60

_NUMBER = re.compile(r"\d+")
_REST = re.compile(r"[\d:/._\-#@ ].*", re.DOTALL)


class Sketch(NamedTuple):
    """Groups of tasks and what leads from one to another.

    ``groups``: by task, the number of its group. ``labels``: by group. ``edges``: pairs of groups, each from what is
    needed; those that follow from others are left out. ``grouped``: how tasks were put together, empty if each
    stands for itself.
    """

    groups: list[int]
    labels: list[str]
    edges: list[tuple[int, int]]
    grouped: str


# By task, to which group it belongs: equal values belong together.
_Key = Callable[[int], object]


def sketch(
    labels: Sequence[str],
    needs: Sequence[Sequence[int]],
    path: Iterable[tuple[int, int]] = (),
    *,
    nodes: int = NODES,
) -> Sketch:
    """Draw tasks that do not form a cycle.

    ``labels``: by task. ``needs``: by task, the numbers of those that it depends on. ``path``: dependencies, as pairs,
    that are drawn in any case. ``nodes``: groups at the most.
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
    """Ways to put tasks together, the finest first. No group needs itself by way of others: levels tell them apart."""
    if len(labels) <= nodes:
        yield (lambda task: task), ""
    yield (lambda task: (levels[task], _NUMBER.sub("*", labels[task]))), "by names that differ in numbers alone"
    yield (lambda task: (levels[task], _REST.sub("", labels[task]))), "by the first word of their names"
    yield (lambda task: levels[task]), "by their distance from the beginning"
    depth = max(levels, default=0) + 1
    steps = min(_STEPS, nodes)
    yield (lambda task: levels[task] * steps // depth), _BY_STEPS


def _levels(needs: Sequence[Sequence[int]]) -> list[int]:
    """By task, how many others at the most come one behind the other before it."""
    levels = [-1] * len(needs)
    for task in range(len(needs)):
        # Most often what a task needs stands before it.
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
    """By task, the number of its group; None if there are too many groups."""
    numbers: dict[object, int] = {}
    groups = []
    for task in range(many):
        groups.append(numbers.setdefault(key(task), len(numbers)))
        if len(numbers) > most:
            return None
    return groups


def _reduced(levels: Sequence[int], edges: set[tuple[int, int]], wanted: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those edges between groups that do not follow from others, and those that are wanted.

    ``levels``: by group; edges lead upwards.
    """
    after: list[list[int]] = [[] for _ in levels]
    for a, b in edges:
        after[a].append(b)
    # By group, a bit for each that can be reached.
    reached = [0] * len(levels)
    kept = wanted & edges
    for a in sorted(range(len(levels)), key=levels.__getitem__, reverse=True):
        # What is nearer is taken first: the rest may be reached by way of it.
        for b in sorted(after[a], key=levels.__getitem__):
            if not reached[a] >> b & 1:
                kept.add((a, b))
                reached[a] |= reached[b] | 1 << b
    return kept


def _group_labels(labels: Sequence[str], levels: Sequence[int], groups: Sequence[int], many: int) -> list[str]:
    """What the members' names have in common, or where they stand."""
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
    # What two steps have in common does not tell them apart.
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

"""A part of a document: which of its tasks are run.

Knows the graph, and what names, patterns and tags are asked for. Decides only; a plain run does not import it.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from fnmatch import translate
from re import compile as compile_pattern
from typing import NamedTuple

from fastrun.plan.graph import Graph, graph_of
from fastrun.text import no_such, printable


class Selection(NamedTuple):
    """What is asked for; empty for everything.

    ``names``: run these and all that they need. ``only``: run these and not what they need. ``roots``: run these and
    all that depends on them. ``tags``: run the tasks with any of these and all that they need. Together they add up.
    ``exclude``: of all that, without these. Names may be shell patterns, with ``*``, ``?`` and ``[...]``.
    """

    names: Collection[str] = ()
    only: Collection[str] = ()
    roots: Collection[str] = ()
    tags: Collection[str] = ()
    exclude: Collection[str] = ()


def select(graph: Graph, selection: Selection) -> list[int]:
    """The numbers of the tasks that are asked for, in the order of the document.

    Raises ValueError, in one line, for a name, pattern or tag that fits none.
    """
    names = [task.name for task in graph.tasks]
    chosen = bytearray(len(graph))
    if not (selection.names or selection.only or selection.roots or selection.tags):
        chosen[:] = b"\1" * len(graph)
    found = [*matching(names, selection.names), *_tagged(graph, selection.tags)]
    _mark(chosen, graph.reverse().reached(found) if found else ())
    _mark(chosen, matching(names, selection.only))
    _mark(chosen, graph.reached(matching(names, selection.roots)))
    for number in matching(names, selection.exclude):
        chosen[number] = 0
    return [number for number, wanted in enumerate(chosen) if wanted]


def part_of(graph: Graph, numbers: Sequence[int]) -> Graph:
    """The graph of some of its tasks, in the same order. What the others are for them is taken as done.

    A task's ``dependencies`` are those that are in it.
    """
    if len(numbers) == len(graph):
        return graph
    kept = {graph.tasks[number].name for number in numbers}
    tasks = []
    for number in numbers:
        task = graph.tasks[number]
        names = [name for name in task.dependencies if name in kept]
        tasks.append(task if len(names) == len(task.dependencies) else task._replace(dependencies=names))
    part = graph_of(tasks)
    # Of the whole: what the longest path is does not depend on what is left out behind it.
    part.ranks = array("i", [graph.ranks[number] for number in numbers]) if graph.ranks else array("i")
    new = {old: number for number, old in enumerate(numbers)}
    part.special = [new[number] for number in graph.special if number in new]
    part.pools = graph.pools
    part.whole = (graph, numbers)
    return part


def matching(names: Sequence[str], wanted: Iterable[str], what: str = "task") -> list[int]:
    """The numbers of those with a name, or a name that fits a pattern. Raises ValueError if there is none."""
    found: list[int] = []
    numbers: dict[str, int] = {}
    for text in wanted:
        if not numbers:
            numbers = {name: number for number, name in enumerate(names)}
        if text in numbers:
            # A name with a star in it is a name too.
            found.append(numbers[text])
            continue
        if not any(c in text for c in "*?["):
            raise ValueError(no_such(what, text, names))
        fits = compile_pattern(translate(text)).match
        matching = [number for number, name in enumerate(names) if fits(name)]
        if not matching:
            raise ValueError(f'no {what} fits the pattern "{printable(text)}"')
        found += matching
    return found


def _tagged(graph: Graph, tags: Iterable[str]) -> list[int]:
    wanted = list(tags)
    if not wanted:
        return []
    carriers: dict[str, list[int]] = {}
    for number, task in enumerate(graph.tasks):
        for tag in task.tags:
            carriers.setdefault(tag, []).append(number)
    known = list(carriers)
    return [number for place in matching(known, wanted, "tag") for number in carriers[known[place]]]


def _mark(chosen: bytearray, numbers: Iterable[int]) -> None:
    for number in numbers:
        chosen[number] = 1

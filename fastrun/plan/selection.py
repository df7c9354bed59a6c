"""A part of a document: which of its tasks are run.

Knows the graph, and the names, patterns and tags that are asked for. Runs nothing. A plain run does not import it.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from fnmatch import translate
from re import compile as compile_pattern
from typing import NamedTuple

from fastrun.plan.graph import Graph, graph_of
from fastrun.text import no_such, printable, way_to_all


class Selection(NamedTuple):
    """The tasks that are asked for: all that ``names``, ``only``, ``roots`` and ``tags`` say, or all of the document.

    Names and tags may be shell patterns, with ``*``, ``?`` and ``[...]``.

    ``names``: these tasks and all that they depend on.
    ``only``: these tasks without what they depend on.
    ``roots``: these tasks and all that depend on them.
    ``tags``: the tasks with any of these tags and all that they depend on.
    ``exclude``: none of these tasks, whatever else is said.
    """

    names: Collection[str] = ()
    only: Collection[str] = ()
    roots: Collection[str] = ()
    tags: Collection[str] = ()
    exclude: Collection[str] = ()


def select(graph: Graph, selection: Selection) -> list[int]:
    """Return the numbers of the tasks that are asked for, in the order of the document.

    Raises ValueError, in one line, for a name, pattern or tag that fits no task.
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
    """Return the graph of some of the tasks, in the same order. Dependencies on other tasks count as met.

    ``numbers``: of the tasks, ascending. A task's ``dependencies`` in the part are those that are in the part.
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
    # Ranks are those of the whole: what is left out of a run does not change its order.
    part.ranks = array("i", [graph.ranks[number] for number in numbers]) if graph.ranks else array("i")
    new = {old: number for number, old in enumerate(numbers)}
    part.special = [new[number] for number in graph.special if number in new]
    part.pools = graph.pools
    part.settings = graph.settings
    part.whole = (graph, numbers)
    return part


def matching(names: Sequence[str], wanted: Iterable[str], what: str = "task") -> list[int]:
    """Return the positions of the names that are wanted, by themselves or by a pattern.

    ``what``: the word for what has the names. Raises ValueError if no name fits, TypeError if ``wanted`` is one text.
    """
    if isinstance(wanted, str):
        raise TypeError(f"{what}s are named by a list of texts, not by {wanted!r}")
    found: list[int] = []
    numbers: dict[str, int] = {}
    for text in wanted:
        if not numbers:
            numbers = {name: number for number, name in enumerate(names)}
        if text in numbers:
            # A name may have a star in it.
            found.append(numbers[text])
            continue
        if not any(c in text for c in "*?["):
            raise ValueError(no_such(what, text, names))
        fits = compile_pattern(translate(text)).match
        fitting = [number for number, name in enumerate(names) if fits(name)]
        if not fitting:
            raise ValueError(f'no {what} fits the pattern "{printable(text)}"{way_to_all(what)}')
        found += fitting
    return found


def _tagged(graph: Graph, tags: Collection[str]) -> list[int]:
    if not tags:
        return []
    carriers: dict[str, list[int]] = {}
    for number, task in enumerate(graph.tasks):
        for tag in task.tags:
            carriers.setdefault(tag, []).append(number)
    known = list(carriers)
    return [number for position in matching(known, tags, "tag") for number in carriers[known[position]]]


def _mark(chosen: bytearray, numbers: Iterable[int]) -> None:
    for number in numbers:
        chosen[number] = 1

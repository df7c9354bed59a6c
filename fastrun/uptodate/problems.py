"""What is wrong with the files that tasks declare.

Knows tasks and the graph. Looks at files only to see whether they are there.
"""

import functools
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import or_
from typing import NamedTuple

from fastrun.document.problems import Problem
from fastrun.document.task import Task
from fastrun.plan.graph import Graph
from fastrun.uptodate.declared import covers, folders_around, is_pattern, path_from, text_before
from fastrun.uptodate.examiner import shown

# Most tasks whose dependents are searched for at once: each task has a bit for each of them meanwhile, a kilobyte.
_AT_ONCE = 8192


class Maker(NamedTuple):
    """A task that makes something. ``path``: of what it makes. ``key``, ``position``: where the task declares it."""

    number: int
    path: str
    key: str
    position: int | None = None

    @property
    def at(self) -> tuple[str | int, ...]:
        """Where the document declares it."""
        return ("tasks", self.number, self.key, *(() if self.position is None else (self.position,)))


class Makers:
    """Which tasks of a graph make a path."""

    def __init__(self, tasks: Sequence[Task], numbers: Iterable[int]) -> None:
        """``numbers``: of the tasks that name their files."""
        self._tasks = tasks
        # What another task makes too.
        self._twice: dict[Maker, Problem] = {}
        # By path.
        self._named: dict[str, Maker] = {}
        # By the text before the first special character.
        self._patterns: dict[str, list[Maker]] = {}
        # The folders that something is made in, at any depth.
        self._folders: set[str] = set()
        # By folder, the maker of it or of a folder around it. By declared input, the makers of what it stands for.
        self._outer: dict[str, Maker | None] = {}
        self._found: dict[str, list[Maker]] = {}
        folder = _folder()
        for number in numbers:
            for maker in _makers(number, tasks[number], folder):
                self._add(maker)
        self._sorted = sorted(self._named)
        self._sorted_patterns = sorted(self._patterns)
        for maker in self._named.values():
            self._compare(maker, [self._around(maker.path)])
        for makers in self._patterns.values():
            for maker in makers:
                self._compare(maker, self.of(maker.path))

    @property
    def problems(self) -> Iterable[Problem]:
        """Return the problems with what two tasks make, one for each path at the most."""
        return self._twice.values()

    def of(self, declaration: str) -> Sequence[Maker]:
        """Return the makers of what a declared input stands for."""
        found = self._found.get(declaration)
        if found is None:
            search = self._of_pattern if is_pattern(declaration) else self._of_path
            found = self._found[declaration] = list(search(declaration))
        return found

    def _add(self, maker: Maker) -> None:
        path = maker.path
        if is_pattern(path):
            path = text_before(path)
            self._patterns.setdefault(path, []).append(maker)
        else:
            self._compare(maker, [self._named.setdefault(path, maker)])
        for folder in folders_around(path):
            if folder in self._folders:
                break
            self._folders.add(folder)

    def _of_path(self, path: str) -> Iterator[Maker]:
        for maker in (self._named.get(path), self._around(path)):
            if maker is not None:
                yield maker
        if path in self._folders:
            yield from self._inside(path)
        for length in range(len(path) + 1) if self._patterns else ():
            for maker in self._patterns.get(path[:length], ()):
                if covers(maker.path, path):
                    yield maker

    def _inside(self, folder: str) -> Iterator[Maker]:
        before = "" if folder == "." else f"{folder}/"
        for path in _beginning_with(self._sorted, before):
            if covers(folder, path):
                yield self._named[path]
        for beginning in _beginning_with(self._sorted_patterns, before):
            if covers(folder, f"{beginning}x"):
                yield from self._patterns[beginning]

    def _of_pattern(self, pattern: str) -> Iterator[Maker]:
        beginning = text_before(pattern)
        around = self._around(f"{beginning}x")
        if around is not None:
            yield around
        for path in _beginning_with(self._sorted, beginning):
            if covers(pattern, path):
                yield self._named[path]
        # Whether different patterns fit the same paths is not known.
        yield from (maker for maker in self._patterns.get(beginning, ()) if maker.path == pattern)

    def _around(self, path: str) -> Maker | None:
        """Return the maker of a folder that a path lies in."""
        folder = os.path.dirname(path)
        if path in (".", ".."):
            return None
        if folder not in self._outer:
            self._outer[folder] = next((self._named[f] for f in folders_around(path) if f in self._named), None)
        return self._outer[folder]

    def _compare(self, maker: Maker, others: Iterable[Maker | None]) -> None:
        """Note a problem if another task makes the same, or something in it or around it."""
        other = next((other for other in others if other is not None and other.number != maker.number), None)
        if other is None:
            return
        first, second = sorted([maker, other])
        what = f'{second.key.removesuffix("s")} "{shown(second.path)}"'
        label = self._tasks[first.number].label
        message = f"{what} is made by {label} too"
        if first.path != second.path:
            message = f'{what} overlaps with "{shown(first.path)}", which {label} makes'
        self._twice.setdefault(second, Problem(second.at, message, other=first.at))


def _makers(number: int, task: Task, folder: str) -> Iterator[Maker]:
    """Yield what a task makes. ``folder``: see ``path_from``."""
    for position, output in enumerate(task.outputs):
        yield Maker(number, path_from(task.cwd, output, folder), "outputs", position)
    if task.depfile is not None:
        yield Maker(number, path_from(task.cwd, task.depfile, folder), "depfile")


def check(graph: Graph) -> None:
    """Raise SpecError for outputs that two tasks make, and for inputs that a task makes which is no dependency."""
    with_files = graph.with_files
    makers = Makers(graph.tasks, with_files)
    problems = [*makers.problems, *_races(graph, with_files, makers)]
    if problems:
        raise graph.source.error(problems)


def check_inputs(graph: Graph, numbers: Iterable[int]) -> None:
    """Raise SpecError for inputs of these tasks that are neither there nor made by a task."""
    whole, positions = graph.whole or (graph, range(len(graph)))
    tasks = whole.tasks
    makers: Makers | None = None
    folder = _folder()
    problems = []
    for number in numbers:
        position = positions[number]
        task = tasks[position]
        for entry, name in enumerate(task.inputs):
            path = path_from(task.cwd, name, folder)
            if is_pattern(path) or os.path.lexists(path):
                continue
            makers = makers or Makers(tasks, whole.with_files)
            if not makers.of(path):
                message = f'input "{shown(path)}" is missing, and no task makes it{_where_else(whole, path)}'
                problems.append(Problem(("tasks", position, "inputs", entry), message))
    if problems:
        raise whole.source.error(problems)


def _where_else(graph: Graph, path: str) -> str:
    """Return a hint if a file lies beside its document instead, as users of other tools expect, else an empty text."""
    folder = os.path.dirname(graph.source.name)
    is_there = bool(folder) and os.path.lexists(os.path.join(folder, path))
    return f"; it is in {shown(folder)}: -C {shown(folder)} runs there" if is_there else ""


def _races(graph: Graph, with_files: Sequence[int], makers: Makers) -> Iterator[Problem]:
    """Yield a problem for each input that a task makes on which the reader does not depend."""
    tasks = graph.tasks
    numbers = {tasks[number].name: number for number in with_files}
    folder = _folder()
    # Inputs on whose makers the readers do not all depend directly: reader, entry and path.
    doubtful: list[tuple[int, int, str]] = []
    for number in with_files:
        task = tasks[number]
        direct = {number, *(numbers.get(name) for name in task.dependencies)} if task.inputs else set()
        for entry, name in enumerate(task.inputs):
            path = path_from(task.cwd, name, folder)
            if any(maker.number not in direct for maker in makers.of(path)):
                doubtful.append((number, entry, path))
    paths = dict.fromkeys(path for _, _, path in doubtful)
    asked = list(dict.fromkeys(maker.number for path in paths for maker in makers.of(path)))
    found = set()
    for first in range(0, len(asked), _AT_ONCE):
        some = asked[first : first + _AT_ONCE]
        followed = _followed(graph, some)
        bits = {number: 1 << bit for bit, number in enumerate(some)}
        wanted: dict[str, int] = {}
        for number, entry, path in doubtful:
            if path not in wanted:
                wanted[path] = functools.reduce(or_, (bits.get(maker.number, 0) for maker in makers.of(path)))
            missing = wanted[path] & ~followed.get(number, 0)
            if missing and (number, entry) not in found:
                found.add((number, entry))
                maker = next(maker for maker in makers.of(path) if bits.get(maker.number, 0) & missing)
                yield Problem(("tasks", number, "inputs", entry), _race(path, maker, tasks[maker.number]))


def _followed(graph: Graph, numbers: Sequence[int]) -> dict[int, int]:
    """Return for each task which of some tasks it depends on, or is itself: a number with a bit for each of them."""
    found = {number: 1 << bit for bit, number in enumerate(numbers)}
    for number in graph.order:
        bits = found.get(number)
        if bits is not None:
            for dependent in graph.dependents_of(number):
                found[dependent] = found.get(dependent, 0) | bits
    return found


def _race(path: str, maker: Maker, task: Task) -> str:
    made = "is" if path == maker.path else f'contains "{shown(maker.path)}", which is'
    return f'input "{shown(path)}" {made} made by {task.label}; add "{task.label}" to the dependencies'


def _folder() -> str:
    """Return the run's own working directory, see ``path_from``."""
    return f"{os.getcwd()}/"


def _beginning_with(texts: Sequence[str], beginning: str) -> Iterator[str]:
    """Yield those of sorted texts that begin with another text."""
    for position in range(bisect_left(texts, beginning), len(texts)):
        if not texts[position].startswith(beginning):
            return
        yield texts[position]

"""What is wrong with the files that tasks declare.

Knows tasks and the graph. Looks at files only to see whether they are there.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from fastrun.document.problems import Problem
from fastrun.document.task import Task
from fastrun.plan.graph import Graph
from fastrun.uptodate.declared import covers, is_pattern, path_from
from fastrun.uptodate.examiner import shown


class Makers:
    """Which task of a graph makes a path."""

    def __init__(self, tasks: Sequence[Task], numbers: Iterable[int]) -> None:
        """``numbers``: of the tasks that declare outputs."""
        self.problems: list[Problem] = []
        # By path, the task and the position among its outputs.
        self._paths: dict[str, tuple[int, int]] = {}
        # By folder, the paths of outputs that lie in it, at any depth.
        self._inside: dict[str, list[str]] = {}
        self._patterns: list[tuple[str, int, int]] = []
        folder = _folder()
        for number in numbers:
            task = tasks[number]
            for position, output in enumerate(task.outputs):
                path = path_from(task.cwd, output, folder)
                if is_pattern(path):
                    self._patterns.append((path, number, position))
                else:
                    self._add(tasks, path, number, position)
        for path, number, position in self._patterns:
            for other, (maker, at) in self._paths.items():
                if maker != number and covers(path, other):
                    self._twice(tasks, path, (number, position), other, (maker, at))

    def of(self, declaration: str) -> Iterator[int]:
        """Yield the tasks that make something that a declared input stands for, with repetitions."""
        if is_pattern(declaration):
            # The folders before the first star.
            folder = os.path.dirname(_beginning(declaration))
            paths = self._inside.get(folder or ".", ()) if folder != "/" else self._paths
            yield from (self._paths[path][0] for path in paths if covers(declaration, path))
            yield from (maker for pattern, maker, _ in self._patterns if pattern == declaration)
            return
        for path in (declaration, *_folders(declaration)):
            if path in self._paths:
                yield self._paths[path][0]
        yield from (self._paths[path][0] for path in self._inside.get(declaration, ()))
        yield from (maker for pattern, maker, _ in self._patterns if covers(pattern, declaration))

    def _add(self, tasks: Sequence[Task], path: str, number: int, position: int) -> None:
        for other in (path, *_folders(path), *self._inside.get(path, ())):
            found = self._paths.get(other)
            if found is not None and found[0] != number:
                self._twice(tasks, path, (number, position), other, found)
                return
        self._paths.setdefault(path, (number, position))
        for folder in _folders(path):
            self._inside.setdefault(folder, []).append(path)

    def _twice(
        self, tasks: Sequence[Task], path: str, where: tuple[int, int], other: str, first: tuple[int, int]
    ) -> None:
        """Note that two tasks make the same: ``other`` is the output of the first of them."""
        label = tasks[first[0]].label
        message = f'output "{shown(path)}" is made by {label} too'
        if path != other:
            message = f'output "{shown(path)}" overlaps with "{shown(other)}", which {label} makes'
        number, position = where
        place = ("tasks", first[0], "outputs", first[1])
        self.problems.append(Problem(("tasks", number, "outputs", position), message, other=place))


def check(graph: Graph) -> None:
    """Raise SpecError for outputs that two tasks make, and for inputs that a task makes which is no dependency."""
    tasks = graph.tasks
    with_files = [number for number in graph.special if tasks[number].has_files]
    makers = Makers(tasks, with_files)
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
            makers = makers or Makers(tasks, [number for number in whole.special if tasks[number].has_files])
            if next(makers.of(path), None) is None:
                message = f'input "{shown(path)}" is missing, and no task makes it'
                problems.append(Problem(("tasks", position, "inputs", entry), message))
    if problems:
        raise whole.source.error(problems)


def _races(graph: Graph, with_files: Sequence[int], makers: Makers) -> Iterator[Problem]:
    tasks = graph.tasks
    numbers = {tasks[number].name: number for number in with_files}
    folder = _folder()
    # By task, all that depend on it, where it is asked for.
    reached: dict[int, set[int]] = {}
    for number in with_files:
        task = tasks[number]
        direct = {numbers.get(name) for name in task.dependencies}
        for entry, name in enumerate(task.inputs):
            path = path_from(task.cwd, name, folder)
            for maker in makers.of(path):
                if maker == number or maker in direct:
                    continue
                if maker not in reached:
                    reached[maker] = graph.reached([maker])
                if number not in reached[maker]:
                    message = f'input "{shown(path)}" is made by {tasks[maker].label}, which is no dependency of it'
                    yield Problem(("tasks", number, "inputs", entry), message)
                    break


def _folder() -> str:
    """Return the run's own working directory, see ``path_from``."""
    return f"{os.getcwd()}/"


def _beginning(pattern: str) -> str:
    """Return a pattern up to its first special character."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


def _folders(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, from the innermost."""
    folder = path
    while (folder := os.path.dirname(folder)) not in ("", "/"):
        yield folder
    if not folder and path != ".":
        yield "."

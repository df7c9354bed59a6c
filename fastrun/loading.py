"""Loading of documents: their checked tasks, and what they say of a run.

Knows the forms in which a document is given. Does not know how a run is made: what only shows a document loads no
executor, and no loop.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from fastrun.collector import collector_off
from fastrun.document.parse import parse, parse_lines, read
from fastrun.document.task import AUTO, Document, Task
from fastrun.executors.limits import processors
from fastrun.plan.graph import Graph, build
from fastrun.settings import Options, RunSettings

# A path, a parsed document or tasks.
Input = str | os.PathLike[str] | Mapping[str, Any] | Iterable[Task]


class Tasks(tuple[Task, ...]):  # noqa: SLOT001  # a tuple of any length cannot have slots
    """The tasks of a document that was checked, in their order, and all that a run needs to know of it.

    Nothing is checked again when they are run, so they cannot be changed; a list made of them is checked.

    ``graph``: the tasks with what they depend on, the document's pools and where in it each task is.
    """

    graph: Graph

    def __new__(cls, graph: Graph) -> Self:
        """Keep a graph and its tasks."""
        tasks = super().__new__(cls, graph.tasks)
        tasks.graph = graph
        return tasks

    def __getnewargs__(self) -> tuple[Graph]:
        """Return what a copy or a pickle is made from."""
        return (self.graph,)


def load(source: Input) -> Tasks:
    """Read and check a document: a path (``"-"`` for standard input), a dict as JSON would give, or tasks.

    Returns its tasks, which may be run any number of times. Raises SpecError if it cannot be run, OSError if it cannot
    be read.
    """
    return Tasks(load_graph(source))


def load_graph(source: Input, warn: Callable[[str], None] | None = None, *, lines: bool = False) -> Graph:
    """Read and check a document as ``load`` does, and return its graph, which a run may rank.

    ``warn``: takes the lines about keys that are ignored. ``lines``: whether the file has a command in each line, and
    is no JSON.
    """
    if isinstance(source, Tasks):
        return source.graph.copy()
    with collector_off():
        document = _read(source, lines=lines)
        for line in document.warnings:
            (warn or warn_python)(line)
        graph = build(document)
    if graph.with_files:
        from fastrun.uptodate.plainly import is_plainly_right  # few documents need it

        if not is_plainly_right(graph):
            from fastrun.uptodate.problems import check  # fewer still

            check(graph)
    return graph


def settings_for(graph: Graph, given: Options) -> RunSettings:
    """Return the settings of a run: those that are given, then those of its document, then the usual ones.

    A run in a makefile has make's limit instead of the document's. To run tasks again is to go on with a journal.
    """
    found: dict[str, Any] = {**graph.settings, **given}
    if found.get("rerun") and not found.get("update"):
        found["resume"] = True
    if "jobs" not in given and is_in_makefile():
        found.pop("jobs", None)
    if found.get("jobs") == AUTO:
        found["jobs"] = processors()
    return RunSettings(**found)


def is_in_makefile() -> bool:
    """Return whether a make runs this process and hands out its slots."""
    return "--jobserver" in os.environ.get("MAKEFLAGS", "")


def warn_python(text: str) -> None:
    """Warn the program that uses fastrun as a library."""
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def _read(source: Input, *, lines: bool) -> Document:
    if isinstance(source, Mapping):
        return read(dict(source), "document")
    if not isinstance(source, (str, os.PathLike)):
        return read({"tasks": [_as_dict(task) for task in source]}, "tasks")
    parse_text = parse_lines if lines else parse
    if source == "-":
        # Not sys.stdin, which is None if it was closed.
        with open(0, "rb", closefd=False) as file:
            return parse_text(file.read(), "<stdin>")
    with open(source, "rb") as file:
        return parse_text(file.read(), os.fspath(source))


def _as_dict(task: Task) -> dict[str, Any]:
    """Return a task as a document has it, without the keys that have their usual values."""
    if not isinstance(task, Task):
        raise TypeError(f"a list must hold fastrun.Task, not {type(task).__name__}; a document is a dict")
    defaults = Task._field_defaults
    item = {key: value for key, value in task._asdict().items() if key not in defaults or value != defaults[key]}
    if task.script is not None and not task.arguments:
        del item["arguments"]
    for key in ("arguments", "shell"):
        if isinstance(item.get(key), tuple):
            item[key] = list(item[key])
    several = {"dependencies": task.dependencies, "tags": task.tags}
    # A text would become its letters; as it is, it is refused.
    return {**item, **{key: value if isinstance(value, str) else list(value) for key, value in several.items()}}

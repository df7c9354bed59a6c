"""Whether it is plain that nothing is wrong with the files that tasks declare: what ``problems`` finds, it only doubts.

Knows tasks and paths. Looks at no file. Nearly every document passes, and then ``problems`` is not imported.
"""

from collections.abc import Iterable

from fastrun.document.task import Task
from fastrun.plan.graph import Graph
from fastrun.uptodate.declared import path_from

# What patterns have, and what a path has that leads to the same file as another path does. Each path is a line.
_DOUBTFUL = ("*", "?", "[", "//", "/./", "/../", "/\n", "/.\n", "/..\n", "\n.\n", "\n..\n", "\n./", "\n../", "\n\n")


def is_plainly_right(graph: Graph) -> bool:
    """Return whether each path is made by one task at most, on which all tasks that read it depend directly.

    False if that takes more than comparing paths: patterns, folders, absolute paths beside others, dependencies through
    other tasks.
    """
    tasks = [graph.tasks[number] for number in graph.with_files]
    makers: dict[str, str] = {}
    many = 0
    for task in tasks:
        made = _outputs(task)
        many += len(made)
        makers.update(dict.fromkeys(made, task.name))
    read = {path for task in tasks for path in _inputs(task)}
    made_at_all = makers.keys()
    paths = [*made_at_all, *read]
    text = "\n".join(["", *paths, ""])
    if text.count("\n") != len(paths) + 1 or any(part in text for part in _DOUBTFUL):
        return False
    if text.count("\n/") not in (0, len(paths)):
        # Absolute paths may lead to the same files as others.
        return False
    folders = _folders_of(paths)
    if len(makers) < many or not made_at_all.isdisjoint(folders) or not read.isdisjoint(folders):
        return False
    connected = read & made_at_all
    if not connected:
        return True
    for task in tasks:
        needed = {makers[path] for path in connected.intersection(_inputs(task))}
        if needed and not needed <= {task.name, *task.dependencies}:
            return False
    return True


def _inputs(task: Task) -> Iterable[str]:
    return task.inputs if task.cwd is None else [path_from(task.cwd, path) for path in task.inputs]


def _outputs(task: Task) -> list[str]:
    paths = [*task.outputs] if task.depfile is None else [*task.outputs, task.depfile]
    return paths if task.cwd is None else [path_from(task.cwd, path) for path in paths]


def _folders_of(paths: Iterable[str]) -> set[str]:
    """Return all folders that paths lie in, at any depth."""
    found: set[str] = set()
    new = {path.rpartition("/")[0] for path in paths}
    while new:
        found |= new
        new = {path.rpartition("/")[0] for path in new} - found
    return found

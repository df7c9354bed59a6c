"""Which tasks are processes of their own, and so which of this machine's executors runs a task.

Knows tasks and the settings. Does not know the executors.
"""

from collections.abc import Callable

from fastrun.document.task import Task
from fastrun.plan.graph import Graph
from fastrun.settings import RunSettings


def runs_in_process(task: Task, settings: RunSettings) -> bool:
    """Return whether a task is a process of its own, as every command is, and not a thread of a process of ours."""
    if task.type == "exec" or task.where == "process":
        return True
    if task.where == "cluster" and settings.cluster is not None:
        return False
    return settings.eval_where == "process" and task.where != "thread"


def local_lane(task: Task, settings: RunSettings) -> str:
    """Return the type of task whose executor runs a task on this machine."""
    return "exec" if runs_in_process(task, settings) else "eval"


def lanes_of(graph: Graph, settings: RunSettings) -> Callable[[Task], str] | None:
    """Return what gives the lane of a task on one machine. None if that is its type, as it is for nearly every run."""
    if settings.eval_where == "thread" and not any(graph.tasks[number].where == "process" for number in graph.special):
        return None
    return lambda task: local_lane(task, settings)

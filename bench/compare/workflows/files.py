"""Published workflows, read from a folder.

A folder holds published workflows, each a JSON file ``{"tasks": [{"name", "seconds", "parents"}]}``, and is named by
the caller or by the environment variable FASTRUN_WORKFLOWS; where there is none, look-alikes are made, which have
the shape of published workflows and invented durations.
"""

import os

import orjson

from bench.compare.workflows.look_alikes import look_alikes
from bench.compare.workflows.schedules import (
    critical_path,
)
from bench.compare.workflows.workflow import Workflow

# The most tasks of a workflow that a quick run takes.
QUICK_TASKS = 60


def load_workflows(folder: str) -> list[Workflow]:
    """The workflows of a folder's ``.json`` files, by file name. Raises OSError and what ``read_workflow`` does."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    return [read_workflow(os.path.join(folder, name)) for name in names]


def read_workflow(path: str) -> Workflow:
    """Read one file. Raises ValueError for an unknown parent, for a cycle and if no task takes any time."""
    with open(path, "rb") as file:
        tasks = orjson.loads(file.read())["tasks"]
    names = [task["name"] for task in tasks]
    numbers = {name: number for number, name in enumerate(names)}
    title = os.path.splitext(os.path.basename(path))[0]
    try:
        parents = [[numbers[name] for name in dict.fromkeys(task["parents"])] for task in tasks]
    except KeyError as error:
        raise ValueError(f"{path}: unknown parent {error}") from None
    workflow = Workflow(title, names, [float(task["seconds"]) for task in tasks], parents)
    if not critical_path(workflow):
        raise ValueError(f"{path}: no task takes any time")
    return workflow


def find_workflows(folder: str | None = None, *, quick: bool = False) -> list[Workflow]:
    """Those of a folder, or of that which FASTRUN_WORKFLOWS names, or look-alikes; ``quick``: the small ones.

    Raises what ``load_workflows`` does, and ValueError if there is none.
    """
    folder = folder or os.environ.get("FASTRUN_WORKFLOWS")
    if not folder:
        return look_alikes(quick=quick)
    found = [workflow for workflow in load_workflows(folder) if not quick or len(workflow.names) <= QUICK_TASKS]
    if not found:
        raise ValueError(f"{folder}: no {'small ' if quick else ''}workflow is there")
    return found

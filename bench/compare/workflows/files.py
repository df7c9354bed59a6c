"""Published workflows, read from a folder.

The folder holds JSON files, ``{"tasks": [{"name", "seconds", "parents"}]}`` in each. The caller names it or the
environment variable FASTRUN_WORKFLOWS does. Without a folder look-alikes are made.
"""

import os

import orjson

from bench.compare.workflows.look_alikes import look_alikes
from bench.compare.workflows.schedules import critical_path
from bench.compare.workflows.workflow import Workflow

# Most tasks of a workflow in a quick run.
QUICK_TASKS = 60


def load_workflows(folder: str) -> list[Workflow]:
    """Read the ``.json`` files of a folder in the order of their names. Raises OSError, and as ``read_workflow``."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    return [read_workflow(os.path.join(folder, name)) for name in names]


def read_workflow(path: str) -> Workflow:
    """Read one file. Raises ValueError for an unknown parent, for a cycle, and if no task takes any time."""
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
    """Return the workflows of the folder, or of FASTRUN_WORKFLOWS, or look-alikes; ``quick``: only small ones.

    Raises as ``load_workflows``, and ValueError if the folder has none.
    """
    folder = folder or os.environ.get("FASTRUN_WORKFLOWS")
    if not folder:
        return look_alikes(quick=quick)
    found = [workflow for workflow in load_workflows(folder) if not quick or len(workflow.names) <= QUICK_TASKS]
    if not found:
        raise ValueError(f"{folder}: there is no {'small ' if quick else ''}workflow")
    return found

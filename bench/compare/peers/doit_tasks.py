"""doit, with a ``dodo.py`` that makes a task of each command, and threads.

Biased in its favour: threads, while its default is processes, which are slower. Biased against it: it keeps a database
of the tasks that it has run.
"""

import os
import sys
from contextlib import suppress
from functools import partial
from typing import Any

from bench.compare.peers import DOCUMENT, package_version

NAME = "doit"
KNOWS_DEPENDENCIES = True
version = partial(package_version, "doit")

# doit formats an action, so a percent sign is doubled.
_DODO = f"""\
import json


def task_work():
    with open({DOCUMENT!r}, "rb") as file:
        tasks = json.load(file)["tasks"]
    for task in tasks:
        yield {{
            "name": task["name"],
            "actions": [task["arguments"].replace("%", "%%")],
            "task_dep": ["work:" + name for name in task.get("dependencies", ())],
        }}
"""


def prepare(document: dict[str, Any], folder: str) -> None:  # noqa: ARG001  # dodo.py reads it
    """Write ``dodo.py``."""
    with open(os.path.join(folder, "dodo.py"), "w", encoding="utf-8") as file:
        file.write(_DODO)


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run ``dodo.py``, after removing the database of the previous run."""
    database = os.path.join(folder, "doit.json")
    with suppress(FileNotFoundError):
        os.unlink(database)
    program = [sys.executable, "-m", "doit", "run", "-f", os.path.join(folder, "dodo.py")]
    return [*program, "--backend", "json", "--db-file", database, "-n", str(jobs), "-P", "thread"]

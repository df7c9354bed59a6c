"""doit, with a ``dodo.py`` that makes a task of each command, run by threads.

Biased in its favour: threads, where processes are its default and slower. Biased against it: it keeps a database of
what it ran.
"""

import os
import sys
from contextlib import suppress
from typing import Any

from bench.compare.peers import DOCUMENT, package_version

NAME = "doit"
KNOWS_DEPENDENCIES = True

# An action is a format: a percent sign stands for itself only when doubled.
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


def version() -> str:
    """That of the package."""
    return package_version("doit")


def prepare(document: dict[str, Any], folder: str) -> None:  # noqa: ARG001  # dodo.py reads it
    """Write ``dodo.py``."""
    with open(os.path.join(folder, "dodo.py"), "w", encoding="utf-8") as file:
        file.write(_DODO)


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run ``dodo.py`` with an empty database."""
    database = os.path.join(folder, "doit.json")
    with suppress(FileNotFoundError):
        os.unlink(database)
    program = [sys.executable, "-m", "doit", "run", "-f", os.path.join(folder, "dodo.py")]
    return [*program, "--backend", "json", "--db-file", database, "-n", str(jobs), "-P", "thread"]

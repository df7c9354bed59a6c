"""GNU make, on the same commands with the same dependencies.

Biased in its favour: it captures nothing, because commands inherit its output, and it runs simple commands such as
``true`` without a shell.
"""

import os
from functools import partial
from typing import Any

from bench.compare.peers import command_text, program_version

NAME = "GNU make"
KNOWS_DEPENDENCIES = True
version = partial(program_version, "make", "GNU Make")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Write ``Makefile`` for a document of one-line commands whose names need no escapes."""
    names = " ".join(task["name"] for task in document["tasks"])
    lines = [f"all: {names}", f".PHONY: all {names}"]
    for task in document["tasks"]:
        lines += [" ".join([f"{task['name']}:", *task.get("dependencies", ())])]
        lines += ["\t" + command_text(task).replace("$", "$$")]
    with open(os.path.join(folder, "Makefile"), "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run the Makefile."""
    return ["make", "-C", folder, "-j", str(jobs)]

"""The floor for commands: ``floor.c``, ``posix_spawn`` and ``wait`` in a loop, compiled on the spot.

Biased in its own favour: it takes no output, makes no sessions, knows no dependencies and keeps no status, which is
less than anyone can do who runs commands for others.
"""

import os
import shutil
import subprocess
from typing import Any

from bench.compare.peers import Unavailable, write_commands

NAME = "posix_spawn loop in C"
KNOWS_DEPENDENCIES = False

_SOURCE = os.path.join(os.path.dirname(__file__), "floor.c")


def version() -> str:
    """The compiler that makes it."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler: cc is not on the path")
    result = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.partition("\n")[0]


def prepare(document: dict[str, Any], folder: str) -> None:
    """Compile it, and write the list of commands."""
    subprocess.run(["cc", "-O2", "-o", os.path.join(folder, "floor"), _SOURCE], timeout=60, check=True)
    write_commands(document, folder)


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the list."""
    return [os.path.join(folder, "floor"), os.path.join(folder, "commands"), str(jobs)]

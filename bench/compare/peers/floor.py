"""The floor for commands: ``floor.c``, a loop of ``posix_spawn`` and ``wait``, compiled on this machine.

Biased in its own favour: it takes no output, makes no sessions, knows no dependencies and keeps no status. Every real
runner of commands has to do more.
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
    """Return the version of the compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler: cc is not on the path")
    result = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.partition("\n")[0]


def prepare(document: dict[str, Any], folder: str) -> None:
    """Compile the program and write the list of commands."""
    subprocess.run(["cc", "-O2", "-o", os.path.join(folder, "floor"), _SOURCE], timeout=60, check=True)
    write_commands(document, folder)


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run the list."""
    return [os.path.join(folder, "floor"), os.path.join(folder, "commands"), str(jobs)]

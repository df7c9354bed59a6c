"""``xargs -P``, with a shell for each command.

Biased in its favour: it captures nothing, prints nothing and knows no dependencies.
"""

import os
import shlex
import shutil
from typing import Any

from bench.compare.peers import Unavailable, program_version, write_commands

NAME = "xargs -P"
KNOWS_DEPENDENCIES = False


def version() -> str:
    """What ``xargs --version`` says first; nothing where it is not GNU's."""
    if shutil.which("xargs") is None:
        raise Unavailable("xargs is not installed")
    return program_version("xargs") or "unknown version"


def prepare(document: dict[str, Any], folder: str) -> None:
    """Write the list of commands."""
    write_commands(document, folder)


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the list."""
    path = shlex.quote(os.path.join(folder, "commands"))
    return ["/bin/sh", "-c", f"exec xargs -0 -n 1 -P {jobs} /bin/sh -c < {path}"]

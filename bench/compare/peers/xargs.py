"""``xargs -P``, with a shell for each command.

Biased in its favour: it captures nothing, prints nothing and knows no dependencies.
"""

import os
import shlex

from bench.compare.peers import program_version, write_commands

NAME = "xargs -P"
KNOWS_DEPENDENCIES = False
prepare = write_commands


def version() -> str:
    """Return the first line of ``xargs --version``, which only GNU's has."""
    return program_version("xargs") or "unknown version"


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run the list."""
    path = shlex.quote(os.path.join(folder, "commands"))
    return ["/bin/sh", "-c", f"exec xargs -0 -n 1 -P {jobs} /bin/sh -c < {path}"]

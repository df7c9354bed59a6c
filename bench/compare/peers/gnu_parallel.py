"""GNU parallel, on the list of commands.

Biased in its favour: it knows no dependencies. Biased against it: it captures into files, and is written in Perl to do
far more than this, on other machines too.
"""

import os
from typing import Any

from bench.compare.peers import program_version, write_commands

NAME = "GNU parallel"
KNOWS_DEPENDENCIES = False


def version() -> str:
    """What ``parallel --version`` says first."""
    return program_version("parallel", "GNU parallel")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Write the list of commands."""
    write_commands(document, folder)


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the list."""
    return ["parallel", "--will-cite", "-0", "-j", str(jobs), "-a", os.path.join(folder, "commands")]

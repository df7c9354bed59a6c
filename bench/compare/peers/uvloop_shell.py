"""Plain uvloop: the program of ``asyncio_shell`` on uvloop's loop.

Biased in its favour as that is. Biased against it: uvloop forks, and so pays for the parent's memory.
"""

import sys
from typing import Any

import uvloop

from bench.compare.peers import package_version, python_command, read_tasks
from bench.compare.peers.asyncio_shell import run

NAME = "uvloop"
KNOWS_DEPENDENCIES = True


def version() -> str:
    """That of the package."""
    return package_version("uvloop")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the document."""
    return python_command("uvloop_shell", folder, jobs)


def main() -> None:
    """Run the document that the command line names."""
    uvloop.run(run(read_tasks(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()

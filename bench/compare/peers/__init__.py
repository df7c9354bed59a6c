"""Who else runs tasks: one module per peer, each a ``Peer``, each measured as a fresh process on the same document.

A module's docstring says what the peer is and, in the paragraphs behind, where the comparison is biased. The Python
peers are programs themselves: what this package imports they pay for at every start, so it imports next to nothing.
"""

import os
import shutil
import sys
from importlib import import_module
from typing import Any, Protocol, cast

# The first ones start processes and do little else; the last are of the kind that runs a company's pipelines.
COMMAND_PEERS = (
    "floor",
    "calls",
    "ninja",
    "make",
    "xargs",
    "gnu_parallel",
    "asyncio_shell",
    "uvloop_shell",
    "threads",
    "dask_threads",
    "dask_distributed",
    "doit_tasks",
    "luigi_tasks",
)
SNIPPET_PEERS = ("loop", "executor")

# The name of the document in the folder that a peer is given.
DOCUMENT = "document.json"


class Unavailable(Exception):  # noqa: N818  # not an error: the comparison goes on without it
    """A peer that cannot be had here. Its text is the reason."""


class Peer(Protocol):
    """A module of this package.

    ``NAME``: what people call it. ``KNOWS_DEPENDENCIES``: False if it runs tasks in any order.
    """

    NAME: str
    KNOWS_DEPENDENCIES: bool

    def version(self) -> str:
        """What is installed. Raises Unavailable."""

    def prepare(self, document: dict[str, Any], folder: str) -> None:
        """Write beside the document, in ``folder``, what it reads instead."""

    def command(self, folder: str, jobs: int) -> list[str]:
        """The arguments of a process that runs all tasks, at most ``jobs`` at once.

        Called before each run: it removes what the run before left behind.
        """


def find_peer(module: str) -> Peer:
    """The peer in the module of that name."""
    return cast("Peer", import_module(f"{__name__}.{module}"))


def package_version(name: str) -> str:
    """The version of a Python package. Raises Unavailable where it is not installed."""
    # Slow to import, and the peers' processes have no use for it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        raise Unavailable(f"{name} is not installed") from None


def program_version(name: str, starts_with: str = "") -> str:
    """The first line of what ``NAME --version`` says, whose beginning is what tells it from others of its name.

    Raises Unavailable where there is none.
    """
    import subprocess

    if shutil.which(name) is None:
        raise Unavailable(f"{name} is not installed")
    result = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=10, check=False)
    line = result.stdout.partition("\n")[0]
    if not line.startswith(starts_with):
        raise Unavailable(f"{name} is not {starts_with}")
    return line


def python_command(module: str, folder: str, jobs: int) -> list[str]:
    """The arguments that run a module of this package as a program on the document."""
    return [sys.executable, "-m", f"{__name__}.{module}", os.path.join(folder, DOCUMENT), str(jobs)]


def read_tasks(path: str) -> list[dict[str, Any]]:
    """The tasks of a document, as the Python peers read them."""
    import json

    with open(path, "rb") as file:
        return cast("list[dict[str, Any]]", json.load(file)["tasks"])


def write_commands(document: dict[str, Any], folder: str) -> None:
    """Write ``commands``: those of a document, each ended by a NUL, as ``xargs -0`` reads them."""
    with open(os.path.join(folder, "commands"), "w", encoding="utf-8") as file:
        file.writelines(f"{task['arguments']}\0" for task in document["tasks"])

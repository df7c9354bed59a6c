"""Peers: other programs that run tasks. Each is a module, and runs as a fresh process on the same document.

A module's docstring says what the peer is and where the comparison is biased. The Python peers are programs themselves
and pay at every start for what this package imports, so it imports next to nothing.
"""

import os
import shutil
import sys
from importlib import import_module
from typing import Any, Protocol, cast

# The first peers start processes and do little else; the last are made for the pipelines of a company.
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

# Name of the document in a peer's folder.
DOCUMENT = "document.json"


class Unavailable(Exception):  # noqa: N818  # not an error: the comparison goes on without the peer
    """A peer cannot run on this machine. The text is the reason."""


class Peer(Protocol):
    """A module of this package.

    ``NAME``: its usual name. ``KNOWS_DEPENDENCIES``: False if it runs tasks in any order.
    """

    NAME: str
    KNOWS_DEPENDENCIES: bool

    def version(self) -> str:
        """Return the installed version. Raises Unavailable."""

    def prepare(self, document: dict[str, Any], folder: str) -> None:
        """Write into ``folder`` the files that the peer reads instead of the document."""

    def command(self, folder: str, jobs: int) -> list[str]:
        """Return the arguments of a process that runs all tasks, at most ``jobs`` at once.

        Called before each run: removes what the previous run left behind.
        """


def find_peer(module: str) -> Peer:
    """Return the peer in the module of that name."""
    return cast("Peer", import_module(f"{__name__}.{module}"))


def package_version(name: str) -> str:
    """Return the version of a Python package. Raises Unavailable if it is not installed."""
    # Lazy, as below: the import is slow, and the processes of peers do not need it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        raise Unavailable(f"{name} is not installed") from None


def program_version(name: str, starts_with: str = "") -> str:
    """Return the first line that ``NAME --version`` prints.

    Raises Unavailable if there is no such program, or if the line does not begin with ``starts_with``: then it is
    another program of the same name.
    """
    import subprocess

    if shutil.which(name) is None:
        raise Unavailable(f"{name} is not installed")
    result = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=10, check=False)
    line = result.stdout.partition("\n")[0]
    if not line.startswith(starts_with):
        raise Unavailable(f"{name} is not {starts_with}")
    return line


def prepare_nothing(document: dict[str, Any], folder: str) -> None:
    """Write no files, for a peer that reads the document."""


def python_command(module: str, folder: str, jobs: int) -> list[str]:
    """Return the arguments that run a module of this package as a program on the document."""
    return [sys.executable, "-m", f"{__name__}.{module}", os.path.join(folder, DOCUMENT), str(jobs)]


def read_tasks(path: str) -> list[dict[str, Any]]:
    """Read the tasks of a document."""
    import json

    with open(path, "rb") as file:
        return cast("list[dict[str, Any]]", json.load(file)["tasks"])


def command_text(task: dict[str, Any]) -> str:
    """Return the command of a task as a shell reads it, that of a list too."""
    from shlex import join

    arguments = task["arguments"]
    return arguments if isinstance(arguments, str) else join(arguments)


def write_commands(document: dict[str, Any], folder: str) -> None:
    """Write the file ``commands``: the commands of a document, each ended by a NUL, as ``xargs -0`` reads them."""
    with open(os.path.join(folder, "commands"), "w", encoding="utf-8") as file:
        file.writelines(f"{task['arguments']}\0" for task in document["tasks"])

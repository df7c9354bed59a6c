"""Dask's threaded scheduler: each task a ``delayed`` call of ``subprocess.run``, its dependencies arguments of it.

Biased in its favour: it prints nothing, and the first failure ends it. Biased against it: its import alone takes longer
than some of the others need for all, and its graphs are made for calls that compute.
"""

import sys
from typing import Any

from bench.compare.peers import package_version, python_command, read_tasks
from bench.compare.peers.threads import run_shell

NAME = "Dask, threads"
KNOWS_DEPENDENCIES = True


def version() -> str:
    """That of the package."""
    return package_version("dask")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the document."""
    return python_command("dask_threads", folder, jobs)


def _run_one(text: str, dependencies: list[None]) -> None:  # noqa: ARG001  # they are there to be waited for
    run_shell(text)


def main() -> None:
    """Run the document that the command line names, whose tasks stand behind their dependencies."""
    import dask

    calls: dict[str, Any] = {}
    for task in read_tasks(sys.argv[1]):
        before = [calls[name] for name in task.get("dependencies", ())]
        calls[task["name"]] = dask.delayed(_run_one, pure=False)(task["arguments"], before)
    dask.compute(*calls.values(), scheduler="threads", num_workers=int(sys.argv[2]))


if __name__ == "__main__":
    main()

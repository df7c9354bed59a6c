"""Dask's threaded scheduler: each task is a ``delayed`` call of ``subprocess.run`` with its dependencies as arguments.

Biased in its favour: it prints nothing, and the first failure ends it. Biased against it: its import alone takes longer
than some peers take for everything, and its graphs are made for calls that compute.
"""

import sys
from functools import partial
from typing import Any

from bench.compare.peers import package_version, prepare_nothing, python_command, read_tasks
from bench.compare.peers.threads import run_shell

NAME = "Dask, threads"
KNOWS_DEPENDENCIES = True
version = partial(package_version, "dask")
prepare = prepare_nothing
command = partial(python_command, "dask_threads")


def _run_one(text: str, dependencies: list[None]) -> None:  # noqa: ARG001  # makes Dask wait for them
    run_shell(text)


def main() -> None:
    """Run the document that the command line names. Its tasks must come after their dependencies."""
    import dask

    calls: dict[str, Any] = {}
    for task in read_tasks(sys.argv[1]):
        before = [calls[name] for name in task.get("dependencies", ())]
        calls[task["name"]] = dask.delayed(_run_one, pure=False)(task["arguments"], before)
    dask.compute(*calls.values(), scheduler="threads", num_workers=int(sys.argv[2]))


if __name__ == "__main__":
    main()

"""Dask's distributed scheduler: a ``LocalCluster`` of one worker in this process, tasks submitted as futures.

Biased in its favour: it prints nothing and there is no network. Biased against it: start-up and end of the cluster are
counted, which a real one pays once for many runs.
"""

import os
import sys
from typing import Any

from bench.compare.peers import package_version, python_command, read_tasks
from bench.compare.peers.threads import run_shell

NAME = "dask.distributed"
KNOWS_DEPENDENCIES = True


def version() -> str:
    """That of the package."""
    return package_version("distributed")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the document."""
    return python_command("dask_distributed", folder, jobs)


def _run_one(text: str, dependencies: list[None]) -> None:  # noqa: ARG001  # they are there to be waited for
    run_shell(text)


def main() -> None:
    """Run the document that the command line names, whose tasks stand behind their dependencies."""
    path, jobs = sys.argv[1], int(sys.argv[2])
    # Beside the document, so that what it leaves behind goes with that.
    os.environ["DASK_TEMPORARY_DIRECTORY"] = os.path.dirname(path)
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=jobs, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        futures: dict[str, Any] = {}
        for task in read_tasks(path):
            before = [futures[name] for name in task.get("dependencies", ())]
            futures[task["name"]] = client.submit(_run_one, task["arguments"], before, key=task["name"], pure=False)
        client.gather(list(futures.values()))


if __name__ == "__main__":
    main()

"""Dask's distributed scheduler: a ``LocalCluster`` of one worker in this process, tasks submitted as futures.

Biased in its favour: it prints nothing, and there is no network. Biased against it: its time includes start and end of
the cluster, which a real cluster pays once for many runs.
"""

import os
import sys
from functools import partial
from typing import Any

from bench.compare.peers import package_version, prepare_nothing, python_command, read_tasks
from bench.compare.peers.threads import run_shell

NAME = "dask.distributed"
KNOWS_DEPENDENCIES = True
version = partial(package_version, "distributed")
prepare = prepare_nothing
command = partial(python_command, "dask_distributed")


def _run_one(text: str, dependencies: list[None]) -> None:  # noqa: ARG001  # makes Dask wait for them
    run_shell(text)


def main() -> None:
    """Run the document that the command line names. Its tasks must come after their dependencies."""
    path, jobs = sys.argv[1], int(sys.argv[2])
    # Files that Dask leaves behind are removed with the folder of the document.
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

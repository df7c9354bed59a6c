"""The standard library: ``graphlib.TopologicalSorter``, a ``ThreadPoolExecutor`` and ``subprocess.run``.

Biased in its favour: it prints nothing, and the first failure ends it.
"""

import platform
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from graphlib import TopologicalSorter
from queue import SimpleQueue
from typing import Any

from bench.compare.peers import prepare_nothing, python_command, read_tasks

NAME = "graphlib and threads"
KNOWS_DEPENDENCIES = True
version = platform.python_version
prepare = prepare_nothing
command = partial(python_command, "threads")


def run(tasks: list[dict[str, Any]], jobs: int) -> None:
    """Run the commands, at most ``jobs`` at once."""
    commands = {task["name"]: task["arguments"] for task in tasks}
    sorter = TopologicalSorter({task["name"]: task.get("dependencies", ()) for task in tasks})
    sorter.prepare()
    ended: SimpleQueue[Future[str]] = SimpleQueue()

    def run_one(name: str) -> str:
        run_shell(commands[name])
        return name

    with ThreadPoolExecutor(jobs) as pool:
        while sorter.is_active():
            for name in sorter.get_ready():
                pool.submit(run_one, name).add_done_callback(ended.put)
            sorter.done(ended.get().result())


def run_shell(text: str) -> None:
    """Run a command and capture its output. Raises CalledProcessError if it fails."""
    subprocess.run(text, shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def main() -> None:
    """Run the document that the command line names."""
    run(read_tasks(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()

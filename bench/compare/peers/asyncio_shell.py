"""Plain asyncio: ``create_subprocess_shell`` behind a semaphore, output captured; one coroutine per task.

Biased in its favour: it prints nothing, and the first failure ends it. How it waits for a process is the Python
version's: a thread for each up to 3.11, a pidfd from 3.12 on.
"""

import asyncio
import platform
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import Any

from bench.compare.peers import python_command, read_tasks

NAME = "asyncio"
KNOWS_DEPENDENCIES = True


def version() -> str:
    """That of Python."""
    return platform.python_version()


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the document."""
    return python_command("asyncio_shell", folder, jobs)


async def run(tasks: list[dict[str, Any]], jobs: int) -> None:
    """Run the commands, at most ``jobs`` at once."""
    slots = asyncio.Semaphore(jobs)
    running: dict[str, asyncio.Task[None]] = {}

    async def run_one(task: dict[str, Any]) -> None:
        for name in task.get("dependencies", ()):
            await running[name]
        async with slots:
            process = await asyncio.create_subprocess_shell(task["arguments"], stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
            await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{task['name']}: exit status {process.returncode}")

    # None begins before all are known, whatever their order.
    for task in tasks:
        running[task["name"]] = asyncio.create_task(run_one(task))
    await asyncio.gather(*running.values())


def main() -> None:
    """Run the document that the command line names."""
    asyncio.run(run(read_tasks(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()

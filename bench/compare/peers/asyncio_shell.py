"""Plain asyncio: ``create_subprocess_shell`` behind a semaphore, output captured, one coroutine per task.

Biased in its favour: it prints nothing, and the first failure ends it. It waits for a process as its version of Python
does: with a thread for each up to 3.11, with a pidfd from 3.12 on.
"""

import asyncio
import platform
import sys
from asyncio.subprocess import DEVNULL, PIPE
from functools import partial
from typing import Any

from bench.compare.peers import prepare_nothing, python_command, read_tasks

NAME = "asyncio"
KNOWS_DEPENDENCIES = True
version = platform.python_version
prepare = prepare_nothing
command = partial(python_command, "asyncio_shell")


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

    # No coroutine starts before the dictionary is complete, so dependencies may come in any order.
    for task in tasks:
        running[task["name"]] = asyncio.create_task(run_one(task))
    await asyncio.gather(*running.values())


def main() -> None:
    """Run the document that the command line names."""
    asyncio.run(run(read_tasks(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()

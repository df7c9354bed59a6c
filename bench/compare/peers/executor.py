"""asyncio's own way to run snippets: ``loop.run_in_executor`` with a pool of threads, on uvloop, all awaited at once.

Biased in its own favour: no dependencies, no status, no output. Biased against it: it compiles every snippet again.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import uvloop

from bench.compare.peers import package_version, prepare_nothing, python_command, read_tasks

NAME = "run_in_executor"
KNOWS_DEPENDENCIES = False
version = partial(package_version, "uvloop")
prepare = prepare_nothing
command = partial(python_command, "executor")


def _run_one(source: str) -> None:
    exec(compile(source, "<snippet>", "exec", dont_inherit=True), {"__name__": "__main__"})


async def run(tasks: list[dict[str, Any]], threads: int) -> None:
    """Run the snippets in any order."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(threads) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, _run_one, task["arguments"]) for task in tasks))


def main() -> None:
    """Run the document that the command line names."""
    uvloop.run(run(read_tasks(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()

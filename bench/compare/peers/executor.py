"""What asyncio offers for snippets: ``loop.run_in_executor`` with a pool of threads, on uvloop, all awaited at once.

Biased in its own favour: no dependencies, no status, no output. Biased against it: it compiles every snippet anew.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvloop

from bench.compare.peers import package_version, python_command, read_tasks

NAME = "run_in_executor"
KNOWS_DEPENDENCIES = False


def version() -> str:
    """That of uvloop."""
    return package_version("uvloop")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the document with so many threads at most."""
    return python_command("executor", folder, jobs)


def _run_one(source: str) -> None:
    exec(compile(source, "<snippet>", "exec", dont_inherit=True), {"__name__": "__main__"})


async def run(tasks: list[dict[str, Any]], threads: int) -> None:
    """Run the snippets, in any order."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(threads) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, _run_one, task["arguments"]) for task in tasks))


def main() -> None:
    """Run the document that the command line names."""
    uvloop.run(run(read_tasks(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()

"""The floor for snippets: a bare loop of ``exec(compile(...))`` over those of a document, in their order.

Biased in its own favour: no threads, no dependencies, no status, no output. Biased against it: it caches nothing.
"""

import gc
import os
import platform
import sys
from collections.abc import Iterable
from typing import Any

import orjson

from bench.compare.peers import DOCUMENT

NAME = "bare loop"
KNOWS_DEPENDENCIES = False


def version() -> str:
    """That of Python."""
    return platform.python_version()


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:  # noqa: ARG001  # one at a time
    """The arguments that run the document."""
    return [sys.executable, "-m", "bench.compare.peers.loop", os.path.join(folder, DOCUMENT)]


def run_all(sources: Iterable[str]) -> None:
    """Run each source in a fresh namespace."""
    for source in sources:
        exec(compile(source, "<snippet>", "exec", dont_inherit=True), {"__name__": "__main__"})


def main() -> None:
    """Run the snippets of the document that the command line names."""
    # As fastrun does it: with the collector on, reading a million tasks takes five times as long.
    gc.disable()
    with open(sys.argv[1], "rb") as file:
        document = orjson.loads(file.read())
    gc.freeze()
    gc.enable()
    run_all(task["arguments"] for task in document["tasks"])


if __name__ == "__main__":
    main()

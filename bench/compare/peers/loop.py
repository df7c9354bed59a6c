"""The floor for snippets: a bare loop of ``exec(compile(...))`` over the snippets of a document, in their order.

Biased in its own favour: no threads, no dependencies, no status, no output. Biased against it: it caches nothing.
"""

import gc
import platform
import sys
from collections.abc import Iterable
from functools import partial

import orjson

from bench.compare.peers import prepare_nothing, python_command

NAME = "bare loop"
KNOWS_DEPENDENCIES = False
version = platform.python_version
prepare = prepare_nothing
command = partial(python_command, "loop")


def run_all(sources: Iterable[str]) -> None:
    """Run each source in a fresh namespace."""
    for source in sources:
        exec(compile(source, "<snippet>", "exec", dont_inherit=True), {"__name__": "__main__"})


def main() -> None:
    """Run the snippets of the document that the command line names."""
    # As in fastrun: with the collector on, reading a million tasks takes five times as long.
    gc.disable()
    with open(sys.argv[1], "rb") as file:
        document = orjson.loads(file.read())
    gc.freeze()
    gc.enable()
    run_all(task["arguments"] for task in document["tasks"])


if __name__ == "__main__":
    main()

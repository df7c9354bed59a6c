"""The floor for snippets: a bare loop of ``exec(compile(...))``.

``python -m bench.loop FILE`` runs those of a document in their order. Biased in its own favour: no threads, no
dependencies, no status, no output, and it caches nothing.
"""

import gc
import sys
from collections.abc import Iterable

import orjson


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

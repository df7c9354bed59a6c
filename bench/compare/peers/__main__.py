"""Preparation of peers; ``python -m bench.compare.peers FOLDER MODULE ...`` writes the files that they read.

They are made from ``FOLDER/document.json``, in a separate process: a large document would raise the peak of memory of
the process that measures.
"""

import os
import sys

import orjson

from bench.compare.peers import DOCUMENT, find_peer


def main() -> None:
    """Prepare each peer that the command line names."""
    folder, *modules = sys.argv[1:]
    with open(os.path.join(folder, DOCUMENT), "rb") as file:
        document = orjson.loads(file.read())
    for module in modules:
        find_peer(module).prepare(document, folder)


if __name__ == "__main__":
    main()

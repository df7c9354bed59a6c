"""``python -m bench.compare.peers FOLDER MODULE ...`` writes what these peers read instead of ``FOLDER/document.json``.

In a process of its own because large documents would raise the peak of memory of the one that measures.
"""

import os
import sys

import orjson

from bench.compare.peers import DOCUMENT, find_peer


def main() -> None:
    """Prepare for each peer that the command line names."""
    folder, *modules = sys.argv[1:]
    with open(os.path.join(folder, DOCUMENT), "rb") as file:
        document = orjson.loads(file.read())
    for module in modules:
        find_peer(module).prepare(document, folder)


if __name__ == "__main__":
    main()

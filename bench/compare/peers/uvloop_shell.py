"""Plain uvloop: the program of ``asyncio_shell`` on uvloop's loop.

Biased in its favour in the same way. Biased against it: uvloop forks, which costs more the more memory the parent has.
"""

import sys
from functools import partial

import uvloop

from bench.compare.peers import package_version, prepare_nothing, python_command, read_tasks
from bench.compare.peers.asyncio_shell import run

NAME = "uvloop"
KNOWS_DEPENDENCIES = True
version = partial(package_version, "uvloop")
prepare = prepare_nothing
command = partial(python_command, "uvloop_shell")


def main() -> None:
    """Run the document that the command line names."""
    uvloop.run(run(read_tasks(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()

"""GNU parallel, on the list of commands.

Biased in its favour: it knows no dependencies. Biased against it: it captures output in files, and it is a Perl program
made for far more than this, on other machines too.
"""

import os
from functools import partial

from bench.compare.peers import program_version, write_commands

NAME = "GNU parallel"
KNOWS_DEPENDENCIES = False
version = partial(program_version, "parallel", "GNU parallel")
prepare = write_commands


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run the list."""
    return ["parallel", "--will-cite", "-0", "-j", str(jobs), "-a", os.path.join(folder, "commands")]

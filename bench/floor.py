"""The floor for commands: ``floor.c``, compiled on the spot.

Biased in its own favour: it does less than anyone can who runs commands for others, see there.
"""

import os
import shutil
import subprocess

from bench.measure import Unavailable

_SOURCE = os.path.join(os.path.dirname(__file__), "floor.c")


def compile_floor(folder: str) -> str:
    """Compile it into a folder. Returns the path of the program; raises Unavailable without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler: cc is not on the path")
    program = os.path.join(folder, "floor")
    result = subprocess.run(
        [compiler, "-O2", "-o", program, _SOURCE], capture_output=True, text=True, timeout=60, check=False
    )
    if result.returncode:
        raise Unavailable(f"cc cannot compile floor.c: {result.stderr.strip()}")
    return program


def floor_command(program: str, count: int, jobs: int) -> list[str]:
    """The arguments that run ``true`` so many times, so many at once."""
    return [program, str(count), str(jobs)]

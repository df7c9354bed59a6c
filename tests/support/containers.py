"""Systems for tests that are not the usual ones, by namespaces: fastrun as process 1, and what a container lacks."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.engines import HAS_NATIVE
from tests.support.processes import LIMIT, environment, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES = [
    "python",
    pytest.param("native", marks=pytest.mark.skipif(not HAS_NATIVE, reason="the native engine is not built")),
]

# A user that no list of users has.
NAMELESS = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")

# The Python of these tests, and others that another user may be allowed to run.
_PYTHONS = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")


def isolated(command: Sequence[str], setup: str = ":") -> list[str]:
    """Return a command that runs another as process 1 of its own namespaces. ``setup``: what is done there before."""
    return ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", f'{setup}\nexec "$@"', "sh", *command]


@functools.cache
def works(command: tuple[str, ...]) -> bool:
    """Return whether a command can be run here."""
    try:
        return subprocess.run(command, capture_output=True, env=environment(), check=False).returncode == 0
    except OSError:
        return False


needs_namespaces = pytest.mark.skipif(not works((*isolated(["true"]),)), reason="no namespaces can be made here")


def fastrun_isolated(*arguments: str | Path, setup: str = ":", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the real command line as process 1, to its end."""
    options.setdefault("env", environment())
    prefix, python = options.pop("prefix", ()), options.pop("python", sys.executable)
    command = isolated([*prefix, python, "-m", "fastrun", *map(str, arguments)], setup)
    return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, **options)


def python_for_others() -> str | None:
    """Return a Python with all that fastrun needs which another user may run, None if there is none."""
    for python in _PYTHONS:
        # By a shell: setpriv itself may still look into folders that the user may not.
        if works(
            (*NAMELESS, "sh", "-c", 'exec "$@"', "sh", python, "-c", "import fastrun, orjson, uvloop, fastjsonschema")
        ):
            return python
    return None


def first_process(pid: int) -> int:
    """Return the number of the process that ``unshare``, itself a process of that number, has started as process 1."""
    found: list[int] = []

    def look() -> bool:
        found[:] = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return bool(found)

    wait_for(look)
    return found[0]


def signal_each(pids: Sequence[int], number: int) -> None:
    """Send a signal to processes."""
    for pid in pids:
        os.kill(pid, number)

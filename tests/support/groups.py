"""Control groups with a limit of memory, where this system lets a test make them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from fastrun.executors.limits import group_folders
from tests.support.processes import LIMIT, environment, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# By version: the files with the limit, and with the number of processes that were killed for it.
_FILES = (("memory.max", "memory.events"), ("memory.limit_in_bytes", "memory.oom_control"))

# Groups that this process has made.
_COUNT = itertools.count()

# A program that moves itself into a group and becomes fastrun. Arguments: the group's folder, those of fastrun.
_INSIDE = """
import os, sys
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "fastrun", *sys.argv[2:]])
"""


class Group:
    """A control group that a test has made."""

    def __init__(self, folder: str, events: str) -> None:
        self.folder = folder
        # The path of the file that says how many processes were killed.
        self.events = os.path.join(folder, events)

    def fastrun(self, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run the command line in the group, to its end."""
        command = [sys.executable, "-c", _INSIDE, self.folder, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, env=environment())

    def kills(self) -> int:
        """Return how many processes the kernel has killed in it for want of memory."""
        with open(self.events) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))


@contextmanager
def memory_group(limit: int) -> Iterator[Group]:
    """Make a group below this process's own whose processes have at most ``limit`` bytes, or skip the test.

    The processes of the tests themselves are not in it.
    """
    folder, events = _made(limit)
    try:
        yield Group(folder, events)
    finally:
        remove_group(folder)


def remove_group(folder: str | Path) -> None:
    """Remove a group once the last of its processes is gone from it, be that some time after its end."""

    def removed() -> bool:
        with suppress(OSError):
            os.rmdir(folder)
        return not os.path.exists(folder)

    wait_for(removed)


def _made(limit: int) -> tuple[str, str]:
    for own in group_folders("memory"):
        folder = os.path.join(own, f"fastrun-test-{os.getpid()}-{next(_COUNT)}")
        with suppress(OSError):
            os.mkdir(folder)
            for limits, events in _FILES:
                with suppress(OSError), open(os.path.join(folder, limits), "r+") as file:
                    file.write(str(limit))
                    file.flush()
                    return folder, events
            os.rmdir(folder)
    pytest.skip("no control group with a limit of memory can be made here")

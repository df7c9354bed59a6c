"""Processes of tests: the real command line, what surrounds it, and waiting for what it does."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastrun.executors.guardian.proc import read_stat
from fastrun.uptodate.contents import kernel_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Most seconds that a test waits for something. Nothing that works takes nearly as long, on a machine
# with ten times as much to do as it can do either; a hang must not stop the suite.
LIMIT = 240

# What may stand in the report between the tasks and the counts begins with one of these lines.
HEADINGS = ("Times:", "Failures:")

# A program whose first thread ends, while the process goes on with another one.
WITHOUT_FIRST_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""

# A program that prints its number, and when it is asked to end writes over its own environment and goes on.
WITHOUT_MARK = """
import ctypes, os, signal
def wipe(*_):
    with open("/proc/self/stat", "rb") as file:
        start, end = map(int, file.read().rpartition(b")")[2].split()[47:49])
    ctypes.memset(start, 0, end - start)
signal.signal(signal.SIGTERM, wipe)
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""


def environment(**more: str) -> dict[str, str]:
    """The environment for a fastrun process of ours, found where this one is found."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    # What the outcome would depend on.
    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "FORCE_COLOR", "NO_COLOR", "PYTHONUNBUFFERED")
    }
    return {**plain, "PYTHONPATH": path, **more}


def unmeasured() -> dict[str, str]:
    """The environment for one that is not to have its coverage measured.

    It could not write it. Or it would have to beside a snippet that never lets go of the interpreter's lock by itself:
    that takes the lock for 5 ms at each row of the thousands that are written, half a minute in all.
    """
    return {name: value for name, value in environment().items() if not name.startswith("COVERAGE_PROCESS")}


def file_limit(size: int) -> Callable[[], None]:
    """For a process that is about to be started: no file of its is to get larger."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def fastrun(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The real command line, to its end."""
    options.setdefault("env", environment())
    command = [sys.executable, "-m", "fastrun", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, **options)


@contextmanager
def fastrun_process(*arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The real command line, running; its standard output can be read. Killed if it does not end.

    ``prefix``: what stands before it.
    """
    options.setdefault("env", environment())
    command = [*options.pop("prefix", ()), sys.executable, "-m", "fastrun", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            timer.join()
            process.kill()


def report_of(stdout: bytes) -> dict[str, tuple[str, str]]:
    """Status and reason by name, read from the printed report."""
    lines = stdout.decode().splitlines()
    lines = lines[lines.index("Report:") + 1 : -1]
    found = {}
    for line in lines[: min((lines.index(heading) for heading in HEADINGS if heading in lines), default=len(lines))]:
        status = line.split(" ", 1)[0]
        name, _, reason = line[max(9, len(status) + 1) :].partition("  ")
        found[name] = (status, reason)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def wait_for_tick() -> None:
    """Wait until what changed before has an earlier time than what changes from now on.

    Linux stamps some changes by a clock that is finer than the usual one, and ahead of it.
    """
    now = time.time_ns()
    wait_for(lambda: kernel_time() > now)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not, unless only its first thread has ended."""
    found = read_stat(pid)
    return found is not None and not found.has_ended

"""Run one process and measure what it takes.

Knows processes, clocks and memory, not which program runs or what the figures mean.
"""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

# Bytes in a unit of ``ru_maxrss``: macOS counts in bytes, other systems in kilobytes.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024

# Variables that make Python slower, each in its own way: see ``child_environment``.
_DISTORTING = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


class Measured(NamedTuple):
    """Figures of one process.

    ``seconds``: wall time from before the start until the process was reaped; if it was stopped, until the marker came.
    ``cpu``: seconds of processor time, its children's included. ``peak``: most bytes of memory that it had resident.
    ``first``: seconds until its first output, or None. ``marked``: seconds between that and the marker, or None.
    """

    seconds: float
    cpu: float
    peak: int
    first: float | None
    marked: float | None


def measure(command: Sequence[str], *, timeout: float, marker: bytes = b"", stop: bool = False) -> Measured:
    """Run a process whose standard output is a pipe, which this process reads and throws away.

    ``marker``: bytes to look for in the output. ``stop``: kill the process and its group when the marker has come.
    ``timeout``: seconds after which the process and its group are killed. Raises RuntimeError if the exit code is not 0
    or the marker did not come.

    The peak is never less than this process's own peak: the kernel counts the memory that a child had before its
    ``exec``. So large documents are made in separate processes.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=child_environment(), process_group=0
    )
    assert process.stdout is not None
    # process.kill might reap the process, and its figures would be lost.
    timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        first, marked = _read(process.stdout.fileno(), marker, stop)
        if stop:
            os.killpg(process.pid, signal.SIGKILL)
        # The process stays a zombie, so the timer cannot kill another process with the same number.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
        timer.join()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    end = time.perf_counter()
    if process.returncode != (-signal.SIGKILL if stop else 0):
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode} after {end - start:.1f} s")
    if marker and marked is None:
        raise RuntimeError(f"{' '.join(command)}: never printed {marker!r}")
    return Measured(
        (marked if stop and marked is not None else end) - start,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * _PEAK_UNIT,
        None if first is None else first - start,
        None if first is None or marked is None else marked - first,
    )


def _read(descriptor: int, marker: bytes, stop: bool) -> tuple[float | None, float | None]:
    """Read to the end, or with ``stop`` to the marker. Returns the times of the first output and of the marker."""
    first = marked = None
    tail = b""
    while data := os.read(descriptor, 1 << 16):
        now = time.perf_counter()
        if first is None:
            first = now
        if marker and marked is None:
            # Two reads may split the marker.
            tail = tail[-len(marker) :] + data
            if marker in tail:
                marked = now
                if stop:
                    break
    return first, marked


def child_environment() -> dict[str, str]:
    """Return an environment in which a child imports this ``bench`` and the ``fastrun`` of this process.

    Leaves out PYTHONDONTWRITEBYTECODE, with which each start compiles the modules of a checkout again, but not those of
    an installed package, and PYTHONUNBUFFERED, with which Python writes every line separately.
    """
    import fastrun

    roots = [os.path.dirname(os.path.dirname(os.path.abspath(file))) for file in (fastrun.__file__, __file__)]
    paths = [*dict.fromkeys(roots), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {key: value for key, value in os.environ.items() if key not in _DISTORTING}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def reset_peak() -> None:
    """Reset this process's peak of memory, on Linux. Elsewhere the peak counts from the start of the process."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def own_peak() -> int:
    """Return the most bytes of memory that this process had resident since ``reset_peak``."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT

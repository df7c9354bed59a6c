"""Runs one process and says what it took.

Knows processes, clocks and memory; not what is measured nor what the figures mean.
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

# getrusage gives bytes there and kilobytes elsewhere.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024

_DISTORTING = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


class Measured(NamedTuple):
    """What a process took.

    ``seconds``: wall time from before it was started until it was reaped or, if it was stopped, until the marker came.
    ``cpu``: seconds of processor, its children's included. ``peak``: bytes, the most memory it had resident.
    ``first``: seconds until its first output, or None. ``marked``: seconds between that and the marker, or None.
    """

    seconds: float
    cpu: float
    peak: int
    first: float | None
    marked: float | None


def measure(
    command: Sequence[str], *, timeout: float, marker: bytes = b"", stop: bool = False, exit_code: int = 0
) -> Measured:
    """Run a process whose standard output is a pipe, read here and thrown away.

    ``marker``: what to look for in the output. ``stop``: kill the process and its group as soon as that came.
    ``timeout``: seconds after which they are killed. Raises RuntimeError if the process exits with anything but
    ``exit_code``, or the marker did not come.

    The peak is never less than this process's own: the kernel counts what a child was before its ``exec``. So
    large documents are made in processes of their own.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=child_environment(), process_group=0
    )
    assert process.stdout is not None
    # Not process.kill, which may reap the process and with it the figures.
    timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        first, marked = _read(process.stdout.fileno(), marker, stop)
        if stop:
            os.killpg(process.pid, signal.SIGKILL)
        # Still a zombie after this, so that the timer cannot kill who got its number next.
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
    if process.returncode != (-signal.SIGKILL if stop else exit_code):
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
    """Read to the end, or to the marker. Returns when the first output and the marker came."""
    first = marked = None
    tail = b""
    while data := os.read(descriptor, 1 << 16):
        now = time.perf_counter()
        if first is None:
            first = now
        if marker and marked is None:
            # The marker may lie across two reads.
            tail = tail[-len(marker) :] + data
            if marker in tail:
                marked = now
                if stop:
                    break
    return first, marked


def child_environment() -> dict[str, str]:
    """The environment in which a child finds this ``bench`` and the ``fastrun`` that this process has.

    Without what would make Python compile the modules of a checkout anew at each start, but not those of a package that
    is installed, or write every line by itself.
    """
    import fastrun

    roots = [os.path.dirname(os.path.dirname(os.path.abspath(file))) for file in (fastrun.__file__, __file__)]
    paths = [*dict.fromkeys(roots), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {key: value for key, value in os.environ.items() if key not in _DISTORTING}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def reset_peak() -> None:
    """Make the kernel forget this process's peak of memory. Linux; elsewhere the peak is that since its start."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def own_peak() -> int:
    """Bytes, the most memory that this process had resident since ``reset_peak``."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT

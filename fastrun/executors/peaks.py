"""Peaks of memory, as getrusage counts them."""

import resource
import sys

# Bytes in which getrusage counts memory.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024

# What ``own_peak`` returned last.
_last = 0


def own_peak() -> int:
    """Return the most memory that this process has had since it became this program.

    A command counts with no less: until it became another program it had the memory of this process. getrusage tells
    more of this process itself: also what its parent had when it started this process.
    """
    global _last
    _last = _counted()
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            _last = int(file.read().partition(b"\nVmHWM:")[2].split(None, 1)[0])
    except (OSError, IndexError):
        # Without /proc, or on a system that has no such line.
        pass
    return _last


def last_own_peak() -> int:
    """Return what ``own_peak`` returned last: no less than any peak that was found not to be known."""
    return _last or own_peak()


def is_known(peak: int) -> bool:
    """Return whether the peak of a command is its own, and not that of this process."""
    # ``own_peak`` takes some fifteen times as long as getrusage.
    return peak > _counted() or (peak > _last and peak > own_peak())


def _counted() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

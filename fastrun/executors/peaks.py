"""Peaks of memory, as getrusage counts them."""

import resource
import sys

# Bytes in which getrusage counts memory.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def own_peak() -> int:
    """Return the most memory that this process has had.

    A command counts with no less: until it became another program it had the memory of this process.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

"""Descriptors 0, 1 and 2 of this process, which a snippet may close: ``open(0).read()`` does.

The next file or pipe would get such a number, and lose it to the next snippet that does the same, or get what is
written to standard error.
"""

import fcntl
import os
from contextlib import suppress

from fastrun.executors import present

# The first number that no standard stream has, by far.
_FROM = 10

# By number, another descriptor of the same file.
_kept: dict[int, int] = {}


def duplicate(number: int) -> int:
    """Return another descriptor of the same file, which is none that a snippet closes for a standard stream."""
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FROM)


def keep() -> None:
    """Keep what the descriptors are open on, those that are."""
    for number in range(3):
        # EINVAL: the limit is lower than any such number.
        with suppress(OSError):
            _kept[number] = duplicate(number)


def reopen() -> None:
    """Open those again that are closed."""
    for number, kept in _kept.items():
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            with suppress(OSError):
                # Not ``dup2``: another thread may open a file just now, which gets the number.
                if (found := fcntl.fcntl(kept, fcntl.F_DUPFD, number)) != number:
                    os.close(found)


def release() -> None:
    """Open those again that are closed and, where the process ends with its run, those that are another file's."""
    reopen()
    for number, kept in _kept.items():
        if present.ends_with_run and not os.path.sameopenfile(number, kept):
            os.dup2(kept, number)
    forget()


def forget() -> None:
    """Close what ``keep`` has opened."""
    while _kept:
        with suppress(OSError):
            os.close(_kept.popitem()[1])

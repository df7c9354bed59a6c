"""Private files of commands and snippets that are too long for an argument, or need a file."""

import os
from contextlib import suppress


def write_private(content: bytes, suffix: str) -> str:
    """Write a file that only this user can read. Return its path. Raises OSError."""
    import tempfile  # 1 ms of every start, and most never need it

    from fastrun.executors.scratch import scratch_folder

    descriptor, path = tempfile.mkstemp(prefix="fastrun-", suffix=suffix, dir=scratch_folder())
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise
    return path

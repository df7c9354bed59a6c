"""Where files are that live no longer than the run: a folder, or nowhere."""

import os
from typing import BinaryIO

# Memory. In a container with a read-only root it is, as a rule, the only folder that can be written.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108


def scratch_folder() -> str:
    """Return a folder that can be written: where there is one, the system's for temporary files. Raises OSError."""
    import tempfile  # 1 ms of every start, and most never need it

    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        if not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
            raise
        return _SHARED_MEMORY


def unnamed_file(name: str) -> BinaryIO:
    """Return a file that ends with its last descriptor, and to which all writers append. Raises OSError.

    ``name``: for people who look at descriptors.
    """
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create(name), "ab+", buffering=0)
    import tempfile  # for macOS only

    return tempfile.TemporaryFile("ab+", buffering=0)

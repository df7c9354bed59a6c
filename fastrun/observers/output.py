"""The file that an observer writes for another program or a person: private, and never the end of a run.

Knows bytes and a path. Does not know what is written.
"""

import os
from typing import IO, Self, cast

from fastrun.protocols import Observer
from fastrun.spec import printable


class OutputFile:
    """A file that is written from its beginning, readable by its owner alone.

    ``failure``: a line about the first error, after which nothing is written any more; empty if there is none.
    """

    def __init__(self, path: str, *, compressed: bool = False) -> None:
        """``path``: made, or emptied if it exists. ``compressed``: as gzip does it. Raises OSError."""
        self.label = printable(path)
        self.failure = ""
        # What is there already keeps its mode: it is the user's.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._raw: IO[bytes] = open(descriptor, "wb")  # noqa: SIM115  # closed by close
        self._file: IO[bytes] = self._raw
        if compressed:
            import gzip  # 3 ms, and few need it

            self._file = cast("IO[bytes]", gzip.GzipFile("", "wb", 3, self._raw, 0))

    def write(self, data: bytes) -> None:
        """Add to the file's buffer."""
        if not self.failure:
            try:
                self._file.write(data)
            except OSError as error:
                self._failed(error)

    def flush(self) -> None:
        """Hand the buffer to the system, so that it outlives this process."""
        if not self.failure:
            try:
                self._file.flush()
            except OSError as error:
                self._failed(error)

    def close(self) -> str:
        """Write what is left. Returns ``failure``."""
        for file in (self._file, self._raw):
            try:
                file.close()
            except OSError as error:
                self._failed(error)
        return self.failure

    def _failed(self, error: OSError) -> None:
        self.failure = self.failure or f"cannot write {self.label}: {error.strerror}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileObserver(Observer):
    """An observer with a file, which whoever made it closes once the run is over."""

    def __init__(self, file: OutputFile) -> None:
        self.file = file

    def close(self) -> str:
        """Write what is left. Returns a line about what could not be written, empty if all is."""
        return self.file.close()

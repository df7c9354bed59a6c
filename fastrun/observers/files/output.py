"""The file that an observer writes for another program or a person: private, and never the end of a run.

Knows bytes and a path. Does not know what is written.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Self, cast

from fastrun.document.task import Task
from fastrun.observers.writer.writer import Writer
from fastrun.protocols import STDOUT, Observer
from fastrun.text import printable


def open_private(path: str) -> tuple[int, bool]:
    """A descriptor of a file, and whether it was made, readable by its owner alone. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_EXCL, 0o600), True
    except FileExistsError:
        # What is there already keeps its mode: it is the user's.
        return os.open(path, flags, 0o600), False


class OutputFile:
    """A file that is written from its beginning, readable by its owner alone.

    ``failure``: a line about the first error, after which nothing is written any more; empty if there is none.
    """

    def __init__(self, path: str, *, compressed: bool = False) -> None:
        """``path``: made, or emptied by ``begin`` if it exists. ``compressed``: as gzip does it. Raises OSError."""
        self.label = printable(path)
        self.failure = ""
        self._path = path
        self._compressed = compressed
        self._descriptor, self._made = open_private(path)
        # The outermost comes first.
        self._files: list[IO[bytes]] = []

    def begin(self) -> None:
        """Empty it: from now on it is this run's. What is written first does so as well."""
        if self._files:
            return
        try:
            # Nobody else can be emptied.
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.ftruncate(self._descriptor, 0)
        except OSError as error:
            self._failed(error)
        raw = open(self._descriptor, "wb")  # noqa: SIM115  # closed by close
        self._files = [raw]
        if self._compressed:
            import gzip  # 3 ms, and few need it

            self._files.insert(0, cast("IO[bytes]", gzip.GzipFile("", "wb", 3, raw, 0)))

    def discard(self) -> None:
        """Leave everything as it was, as nothing has begun."""
        os.close(self._descriptor)
        if self._made:
            with suppress(OSError):
                os.unlink(self._path)

    def write(self, data: bytes) -> None:
        """Add to the file's buffer."""
        self.begin()
        if not self.failure:
            try:
                self._files[0].write(data)
            except OSError as error:
                self._failed(error)

    def flush(self) -> None:
        """Hand the buffer to the system, so that it outlives this process."""
        self.begin()
        if not self.failure:
            try:
                self._files[0].flush()
            except OSError as error:
                self._failed(error)

    def close(self) -> str:
        """Write what is left. Returns ``failure``."""
        self.begin()
        for file in self._files:
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


class OutputStream:
    """The same for what somebody reads meanwhile, a pipe or a terminal: he may be slow, and the loop does not wait."""

    def __init__(self, descriptor: int, label: str) -> None:
        """``label``: what it is called."""
        self.label = label
        # Seconds that ``close`` waits for who reads, None for as long as it takes.
        self.patience: float | None = None
        self._descriptor = descriptor
        self._writer = Writer({STDOUT: descriptor}, {STDOUT: label})

    @property
    def congested(self) -> bool:
        """Whether who reads is behind."""
        return self._writer.congested

    @property
    def failure(self) -> str:
        """A line about the first error, empty if there is none."""
        return self._writer.failure

    def begin(self) -> None:
        """Nothing: what is in it is its reader's."""

    def discard(self) -> None:
        """Let go of it, as nothing has begun."""
        self._writer.close(0.0)
        os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        """Write as much as fits, and the rest when it does."""
        self._writer.write([(STDOUT, data)])

    def flush(self) -> None:
        """Nothing: there is no buffer."""

    def close(self) -> str:
        """Write what is left. Returns ``failure``."""
        if self._writer.close(self.patience):
            os.close(self._descriptor)
            return self.failure
        return self.failure or f"cannot write to {self.label}: nobody reads"


# What is written to as an ``OutputFile`` is.
Output = OutputFile | OutputStream


def open_followed(path: str) -> Output:
    """A file that others may read while it is written: if it is a pipe, its readers hold nothing up. Raises OSError."""
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        regular = True
    return OutputFile(path) if regular else OutputStream(open_private(path)[0], printable(path))


class FileObserver(Observer):
    """An observer with a file, which whoever made it closes once the run is over.

    ``complete``: whether it has come to its end; False only with those that say so, and until then.
    """

    complete = True

    def __init__(self, file: Output) -> None:
        self.file = file

    def close(self) -> str:
        """Write what is left. Returns a line about what could not be written, empty if all is."""
        # Not complete: it raised, and no longer watches.
        return self.file.close() or ("" if self.complete else f"{self.file.label} is not complete")


class Beginning(Observer):
    """Empties the files of others when the run begins, and not before: one that is refused leaves them as they are."""

    def __init__(self, files: Sequence[Output]) -> None:
        self._files = files

    def run_started(self, tasks: Sequence[Task]) -> None:  # noqa: ARG002
        """Empty them."""
        for file in self._files:
            file.begin()

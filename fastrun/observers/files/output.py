"""The output file of an observer: never a reason for a run to end.

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


def _open(path: str) -> tuple[int, bool]:
    """Open a file for writing. Return its descriptor and whether this call created it. Raises OSError.

    The umask decides who can read it, as for the files of other tools.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags, 0o666), False


class OutputFile:
    """A file that is written from its beginning.

    ``failure``: a line about the first error, empty if there is none. After an error nothing more is written.
    """

    def __init__(self, path: str, *, compressed: bool = False) -> None:
        """``path``: is created, or truncated by ``begin`` if it exists. ``compressed``: with gzip. Raises OSError."""
        self.label = printable(path)
        self.failure = ""
        self._path = path
        self._compressed = compressed
        self._descriptor, self._made = _open(path)
        # The outermost file object first.
        self._files: list[IO[bytes]] = []

    def begin(self) -> None:
        """Truncate the file, which from now on belongs to this run. The first ``write`` does so as well."""
        if self._files:
            return
        try:
            # Only regular files can be truncated.
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
        """Close the file and leave everything as it was: the run has not begun."""
        os.close(self._descriptor)
        if self._made:
            with suppress(OSError):
                os.unlink(self._path)

    def write(self, data: bytes) -> None:
        """Add data to the file's buffer."""
        self.begin()
        if not self.failure:
            try:
                self._files[0].write(data)
            except OSError as error:
                self._failed(error)

    def flush(self) -> None:
        """Hand the buffer to the system, so that its content outlives this process."""
        self.begin()
        if not self.failure:
            try:
                self._files[0].flush()
            except OSError as error:
                self._failed(error)

    def close(self) -> str:
        """Write what is left and close. Return ``failure``."""
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
    """The same interface for a pipe or a terminal, whose reader may be slow: the loop does not wait for it."""

    def __init__(self, descriptor: int, label: str) -> None:
        """``label``: its name in messages."""
        self.label = label
        # Most seconds that ``close`` waits for the reader, None for no limit.
        self.patience: float | None = None
        self._descriptor = descriptor
        self._writer = Writer({STDOUT: descriptor}, {STDOUT: label})

    @property
    def congested(self) -> bool:
        """Whether the reader is behind."""
        return self._writer.congested

    @property
    def failure(self) -> str:
        """A line about the first error, empty if there is none."""
        return self._writer.failure

    def begin(self) -> None:
        """Do nothing: what is in a pipe belongs to its reader."""

    def discard(self) -> None:
        """Close the descriptor: the run has not begun."""
        self._writer.close(0.0)
        os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        """Write data now if it fits, otherwise once the reader makes room."""
        self._writer.write([(STDOUT, data)])

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> str:
        """Write what is left and close. Return ``failure``."""
        if self._writer.close(self.patience):
            os.close(self._descriptor)
            return self.failure
        return self.failure or f"cannot write to {self.label}: its reader has stopped reading"


# What an observer can write to.
Output = OutputFile | OutputStream


def open_followed(path: str) -> Output:
    """Open an output that another program may read meanwhile. The reader of a pipe delays nothing. Raises OSError."""
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        regular = True
    return OutputFile(path) if regular else OutputStream(_open(path)[0], printable(path))


class FileObserver(Observer):
    """An observer with a file. The observer's creator calls ``close`` once the run is over.

    ``complete``: whether the file has all its content. Always True for observers that do not track it.
    """

    complete = True

    def __init__(self, file: Output) -> None:
        self.file = file

    def discard(self) -> None:
        """Leave the file as it was: there will be no run."""
        self.file.discard()

    def close(self) -> str:
        """Write what is left and close. Return a line about what could not be written, empty if all is written."""
        # An observer that is not complete has raised, and was dropped from the run.
        return self.file.close() or ("" if self.complete else f"{self.file.label} is not complete")


class Beginning(Observer):
    """Truncates the output files when the run begins and not before: a refused run leaves them as they are."""

    def __init__(self, files: Sequence[Output]) -> None:
        self._files = files

    def run_started(self, tasks: Sequence[Task]) -> None:  # noqa: ARG002
        """Truncate the files."""
        for file in self._files:
            file.begin()

"""The table of what runs at present, in memory that outlives the process that writes it.

A file without a name that the runner maps and the guardian reads: after a ``kill -9`` it still says which commands and
snippets ran. Knows rows; not how a task is run, nor what is done about one.
"""

import itertools
import mmap
import os
import struct
from typing import NamedTuple

EXEC = 1
EVAL = 2
# Not a task: a byte that is owed to make's jobserver, instead of a process id.
TOKEN = 3

# Most rows, of which only the used ones take memory. Further tasks are not listed.
_ROWS = 4096

# The first row that the native engine writes by itself, and how many there are of these.
NATIVE_ROWS = _ROWS, _ROWS

# Process id, name, kind. The kind comes last: until it is written the row counts as empty.
_ROW = struct.Struct("<i251sB")
_KIND = _ROW.size - 1
_SIZE = sum(NATIVE_ROWS) * _ROW.size

NO_ROW = -1


class Row(NamedTuple):
    """A task that runs, or a TOKEN.

    ``kind``: EXEC or EVAL. ``pid``: of a command, also the number of its session and group; 0 for a snippet.
    ``label``: the task's name as it may be shown, which may be empty.
    """

    kind: int
    pid: int
    label: str


class Table:
    """The runner's side. Any thread may add and remove: a row belongs to the thread that has added it.

    ``descriptor``: the file, or -1 if the system gives none; rows can be added all the same.
    """

    def __init__(self) -> None:
        try:
            self.descriptor = _unnamed_file()
        except OSError:
            self.descriptor = -1
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        # Both hand out a number in one step of the interpreter: they need no lock.
        self._unused = itertools.count()
        self._free: list[int] = []

    def add(self, kind: int, pid: int, name: str) -> int:
        """List a task, its name cut to 250 bytes. Return its row, NO_ROW if none is free.

        A command must be removed when its process is reaped: then the number may become another process's. A detached
        command must not be listed.
        """
        row = self.reserve()
        return row if self.write(row, kind, pid, name) else NO_ROW

    def remove(self, row: int) -> None:
        """Take back what ``add`` returned."""
        if self.clear(row):
            self._free.append(row)

    def reserve(self) -> int:
        """Return a row for a thread that lists one task after the other, NO_ROW if none is free."""
        try:
            return self._free.pop()
        except IndexError:
            row = next(self._unused)
            return row if row < _ROWS else NO_ROW

    def write(self, row: int, kind: int, pid: int, name: str) -> bool:
        """List a task in a row, instead of what was there. Return whether it is listed, see ``add``."""
        if row == NO_ROW:
            return False
        try:
            _ROW.pack_into(self._memory, row * _ROW.size, pid, name.encode(), kind)
        except UnicodeEncodeError:
            _ROW.pack_into(self._memory, row * _ROW.size, pid, name.encode("utf-8", "replace"), kind)
        except (TypeError, ValueError):
            # The table is closed, which struct calls the wrong type: this is a snippet that the run gave up on.
            return False
        return True

    def clear(self, row: int) -> bool:
        """Empty a row. Return whether it was possible."""
        if row == NO_ROW:
            return False
        try:
            self._memory[row * _ROW.size + _KIND] = 0
        except ValueError:
            # Closed, as above.
            return False
        return True

    def close(self, *, keep_file: bool = False) -> None:
        """Give back the memory and, unless ``keep_file``, the descriptor. Later rows are not listed."""
        self._memory.close()
        if self.descriptor >= 0 and not keep_file:
            os.close(self.descriptor)
            self.descriptor = -1


def read_rows(descriptor: int) -> list[Row]:
    """Return the rows of a table's file. Raises OSError."""
    found = []
    for pid, name, kind in _ROW.iter_unpack(os.pread(descriptor, _SIZE, 0)):
        if kind:
            text = name.rstrip(b"\0").decode("utf-8", "ignore")
            # As ``text.printable`` does it, without the regular expressions that it loads: the guardian imports little.
            shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
            found.append(Row(kind, pid, shown if name.endswith(b"\0") else f"{shown}…"))
    return found


def _unnamed_file() -> int:
    """Return a file of zeros that ends with its last descriptor. Raises OSError."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("fastrun-table")
        try:
            os.truncate(descriptor, _SIZE)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    import tempfile  # 10 ms, for macOS only

    with tempfile.TemporaryFile(prefix="fastrun-", buffering=0) as file:
        # Written, not only made long: on a full disk the process that fills a hole in a mapped file is killed.
        if file.write(bytes(_SIZE)) < _SIZE:
            raise OSError("no room for the guardian's table")
        return os.dup(file.fileno())

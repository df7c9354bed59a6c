"""The text that waits for the next write: after a pause it is written in the loop's next turn, else a few ms later.

Knows streams, bytes and time. Does not know what the bytes mean.
"""

import asyncio

from fastrun.observers.writer.spool import Spool
from fastrun.observers.writer.writer import Writer
from fastrun.protocols import STDOUT

# Seconds between two writes, and most bytes that wait for the second. Each write wakes the process that reads the pipe.
# Linux wakes it on the writer's processor, where commands then run before fastrun can start another: with two at a time
# that took a fifth of a run of trivial commands.
PAUSE = 0.005
ENOUGH = 1 << 15


class Batch:
    """Takes text, and hands it over to a writer, much at once."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False
        # The time of the last write, and how many bytes of output wait for the next.
        self._written_at = -PAUSE
        self._size = 0
        # The text to be written: the pieces, then lines of STDOUT, which most of the text is.
        self._pieces: list[tuple[int, bytes] | Spool] = []
        self._lines: list[str] = []

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write in the turns of this loop from now on."""
        self._loop = loop

    def put_line(self, line: str) -> None:
        """Add a line, or several, to STDOUT."""
        self._lines.append(line)
        if not self._scheduled:
            self._schedule()

    def put(self, piece: tuple[int, bytes] | Spool) -> None:
        """Add whole lines of any stream."""
        if self._lines:
            self._join_lines()
        self._pieces.append(piece)
        if not self._scheduled:
            self._schedule()

    def put_output(self, piece: tuple[int, bytes] | Spool) -> None:
        """Add whole lines of a task. Much output is written in each turn."""
        self.put(piece)
        self._size += piece.size if isinstance(piece, Spool) else len(piece[1])
        if self._size > ENOUGH and self._loop is not None:
            self._size = 0
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand everything over to the writer."""
        self._size = 0
        if self._loop is not None:
            self._written_at = self._loop.time()
        if self._lines:
            self._join_lines()
        if self._pieces:
            self.writer.write(self._pieces)
            self._pieces = []

    def _join_lines(self) -> None:
        self._pieces.append((STDOUT, "".join(self._lines).encode()))
        self._lines.clear()

    def _schedule(self) -> None:
        if self._loop is not None:
            self._scheduled = True
            wait = self._written_at + PAUSE - self._loop.time()
            if wait <= 0:
                self._loop.call_soon(self._flush_scheduled)
            else:
                self._loop.call_later(wait, self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self.flush()

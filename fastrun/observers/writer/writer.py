"""Writes to the standard streams without ever holding up the loop.

What certainly fits is written at once; the rest goes to a thread, so that a slow terminal stops nothing but
output. Handing every turn's few lines to the thread would cost 60 to 150 us per command.

Knows descriptors and bytes; not what they mean.
"""

import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from queue import SimpleQueue

from fastrun.observers.writer.spool import Spool
from fastrun.protocols import STDERR, STDOUT

# Unwritten bytes at which no more should come.
_BACKLOG = 1 << 22

# Bytes joined for one write.
_AT_ONCE = 1 << 20

_NAMES = {STDOUT: "standard output", STDERR: "standard error"}


class Writer:
    """Takes pieces of output for STDOUT and STDERR and writes them in order.

    ``failed``: whether something could not be written; what comes later for that stream is dropped. ``failure``: a
    line about the first of them, which is also written to STDERR, where there is that stream.
    """

    def __init__(self, descriptors: dict[int, int], names: dict[int, str] = _NAMES) -> None:
        """``descriptors``: the file descriptor of each stream. ``names``: what they are called."""
        self._descriptors = descriptors
        self._names = names
        self.failure = ""
        self._queue: SimpleQueue[list[tuple[int, bytes] | Spool] | None] = SimpleQueue()
        self._broken: set[int] = set()
        # Each is counted up in one thread only, so that neither needs a lock.
        self._taken = 0
        self._written = 0
        self._thread: threading.Thread | None = None
        self._writable = select.poll()
        for descriptor in set(descriptors.values()):
            self._writable.register(descriptor, select.POLLOUT)
        self._fits = min(_fits(descriptor) for descriptor in descriptors.values())

    @property
    def failed(self) -> bool:
        """Whether not all could be written."""
        return bool(self._broken)

    @property
    def congested(self) -> bool:
        """Whether more is unwritten than should be."""
        return self._taken - self._written > _BACKLOG

    def write(self, pieces: list[tuple[int, bytes] | Spool]) -> None:
        """Write pieces in order, neighbours of one stream at once. The list is the writer's from now on."""
        size = _size(pieces)
        if self._taken == self._written and size <= self._fits and self._all_writable():
            self._write_pieces(pieces)
            return
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="fastrun-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # No thread to be had: slower for all, and nothing lost.
                self._write_pieces(pieces)
                return
            self._thread = thread
        self._taken += size
        self._queue.put(pieces)

    def close(self, timeout: float | None = None) -> bool:
        """Wait until all is written, at most ``timeout`` seconds. Returns whether it is."""
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _all_writable(self) -> bool:
        return len(self._writable.poll(0)) == len(set(self._descriptors.values()))

    def _work(self) -> None:
        # Else one may come here, and nobody wakes the main thread, which alone acts on it, as it waits for this one.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while (pieces := self._queue.get()) is not None:
            size = _size(pieces)
            try:
                self._write_pieces(pieces)
            except OSError:
                # A spool's file that cannot be read.
                self._broken.add(STDOUT)
            self._written += size

    def _write_pieces(self, pieces: list[tuple[int, bytes] | Spool]) -> None:
        run: list[bytes] = []
        last = STDOUT
        gathered = 0
        for stream, data in _flat(pieces):
            if stream != last or gathered >= _AT_ONCE:
                self._write(last, run)
                run = []
                last = stream
                gathered = 0
            run.append(data)
            gathered += len(data)
        self._write_last(last, run)

    def _write_last(self, stream: int, run: list[bytes]) -> None:
        """Write what ends with the end of a line, as all that is handed over at once does."""
        self._write(stream, run)

    def _write(self, stream: int, run: list[bytes]) -> None:
        if not run or stream in self._broken:
            return
        try:
            _write_all(self._descriptors[stream], run[0] if len(run) == 1 else b"".join(run))
        except OSError as error:
            self._broken.add(stream)
            failure = f"cannot write to {self._names[stream]}: {error.strerror}"
            self.failure = self.failure or failure
            if STDERR in self._descriptors:
                self._write(STDERR, [f"fastrun: {failure}; the tasks go on without it\n".encode()])


def _fits(descriptor: int) -> int:
    """How many bytes a descriptor that poll calls writable takes without waiting."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or os.path.samestat(os.fstat(descriptor), os.stat(os.devnull)):
        return _AT_ONCE
    # POSIX says so for pipes. A terminal promises no more than a byte.
    return select.PIPE_BUF if stat.S_ISFIFO(mode) else 0


def _flat(pieces: list[tuple[int, bytes] | Spool]) -> Iterator[tuple[int, bytes]]:
    for piece in pieces:
        if isinstance(piece, Spool):
            yield from piece.pieces()
        else:
            yield piece


def _size(pieces: list[tuple[int, bytes] | Spool]) -> int:
    return sum(piece.size if isinstance(piece, Spool) else len(piece[1]) for piece in pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # Somebody who shares the stream has made it non-blocking.
            select.select([], [descriptor], [])

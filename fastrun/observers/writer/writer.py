"""The writer of the standard streams, which never blocks the loop.

Output that certainly fits is written at once. The rest goes to a thread, so that a slow terminal delays nothing but
output. Handing the few lines of every turn to the thread would cost 60 to 150 us per command.

Knows descriptors and bytes. Does not know what the bytes mean.
"""

import os
import select
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue

from fastrun.observers.writer.spool import Spool
from fastrun.protocols import STDERR, STDOUT
from fastrun.threads import Thread

# Most unwritten bytes before the writer is congested.
_BACKLOG = 1 << 22

# Bytes that are joined for one write.
_AT_ONCE = 1 << 20

_NAMES = {STDOUT: "standard output", STDERR: "standard error"}


class Writer:
    """Takes pieces of output for STDOUT and STDERR and writes them in order.

    ``failed``: whether a write has failed. Later output for that stream is dropped. ``failure``: a line about the first
    failed write, which is also written to STDERR if the writer has that stream.
    """

    def __init__(self, descriptors: dict[int, int], names: dict[int, str] = _NAMES) -> None:
        """``descriptors``: the file descriptor of each stream. ``names``: the streams' names in messages."""
        self._descriptors = descriptors
        self._names = names
        self.failure = ""
        self._queue: SimpleQueue[list[tuple[int, bytes] | Spool] | None] = SimpleQueue()
        self._broken: set[int] = set()
        # Bytes handed over and bytes written. Only one thread increments each, so that neither needs a lock.
        self._taken = 0
        self._written = 0
        self._thread: Thread | None = None
        self._writable = select.poll()
        for descriptor in set(descriptors.values()):
            self._writable.register(descriptor, select.POLLOUT)
        self._fits = min(_fits(descriptor) for descriptor in descriptors.values())

    @property
    def failed(self) -> bool:
        """Whether a write has failed."""
        return bool(self._broken)

    @property
    def congested(self) -> bool:
        """Whether too many bytes are unwritten."""
        return self._taken - self._written > _BACKLOG

    def write(self, pieces: list[tuple[int, bytes] | Spool]) -> None:
        """Write pieces in order, joining neighbours of one stream. The caller must not use the list afterwards."""
        size = _size(pieces)
        if self._taken == self._written and size <= self._fits and self._all_writable():
            self._write_pieces(pieces)
            return
        if self._thread is None:
            thread = Thread(self._work, "fastrun-writer")
            try:
                thread.start()
            except RuntimeError:
                # The system grants no thread. Writing here is slower for everything, but loses nothing.
                self._write_pieces(pieces)
                return
            self._thread = thread
        self._taken += size
        self._queue.put(pieces)

    def close(self, timeout: float | None = None) -> bool:
        """Wait until all is written, at most ``timeout`` seconds. Return whether all is written."""
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _all_writable(self) -> bool:
        return len(self._writable.poll(0)) == len(set(self._descriptors.values()))

    def _work(self) -> None:
        # Only the main thread acts on signals. If one arrived in this thread, the main thread, which may be waiting for
        # this thread, would not wake up.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while (pieces := self._queue.get()) is not None:
            size = _size(pieces)
            try:
                self._write_pieces(pieces)
            except Exception as error:
                # The file of a spool cannot be read, or there is no memory. Without this thread the run would wait for
                # ever, or end as if all were written.
                self._broken.add(STDOUT)
                with suppress(Exception):
                    self._tell_failure(STDOUT, error)
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
        """Write the last part of one call's output. Each call hands over whole lines."""
        self._write(stream, run)

    def _write(self, stream: int, run: list[bytes]) -> None:
        if not run or stream in self._broken:
            return
        try:
            _write_all(self._descriptors[stream], run[0] if len(run) == 1 else b"".join(run))
        except OSError as error:
            self._broken.add(stream)
            self._tell_failure(stream, error)

    def _tell_failure(self, stream: int, error: Exception) -> None:
        why = error.strerror if isinstance(error, OSError) else repr(error)
        failure = f"cannot write to {self._names[stream]}: {why}"
        self.failure = self.failure or failure
        if STDERR in self._descriptors:
            self._write(STDERR, [f"fastrun: {failure}; the tasks go on without it\n".encode()])


def _fits(descriptor: int) -> int:
    """Return how many bytes a descriptor accepts without blocking once poll calls it writable."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or os.path.samestat(os.fstat(descriptor), os.stat(os.devnull)):
        return _AT_ONCE
    # POSIX promises this for pipes. A terminal promises one byte at most.
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
            # Another process that shares the stream has made it non-blocking. select takes no number above 1023.
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()

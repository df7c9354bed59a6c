"""A spool for output that has to wait, in bounded memory: beyond a limit it lies in an unnamed file."""

import struct
from collections.abc import Iterator
from typing import IO

# Most bytes that one spool keeps in memory.
LIMIT = 1 << 18

_CHUNK = 1 << 16

# What precedes each piece in the file: its stream and its length.
_HEADER = struct.Struct("<BI")


class Spool:
    """Pieces of output with their streams, in order. ``size``: bytes in all."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._file: IO[bytes] | None = None
        self._limit: float = LIMIT
        self._in_memory = 0
        self.size = 0

    def append(self, stream: int, data: bytes) -> None:
        """Add a piece."""
        self._pieces.append((stream, data))
        self._in_memory += len(data)
        self.size += len(data)
        if self._in_memory > self._limit:
            self._spill()

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Yield all pieces, cut to bounded sizes. The spool cannot be used afterwards."""
        if self._file is not None:
            self._file.seek(0)
            while header := self._file.read(_HEADER.size):
                stream, left = _HEADER.unpack(header)
                while left and (data := self._file.read(min(left, _CHUNK))):
                    left -= len(data)
                    yield stream, data
            self._file.close()
        yield from self._pieces
        self._pieces = []

    def close(self) -> None:
        """Drop all pieces."""
        self._pieces = []
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        position = 0
        try:
            if self._file is None:
                import tempfile  # 10 ms, and most runs never need it

                self._file = tempfile.TemporaryFile(prefix="fastrun-", buffering=0)  # noqa: SIM115  # closed when read
            position = self._file.tell()
            blob = memoryview(
                b"".join(part for stream, data in self._pieces for part in (_HEADER.pack(stream, len(data)), data))
            )
            while blob:
                blob = blob[self._file.write(blob) :]
        except OSError:
            # The disk is full. More memory than the limit is better than lost output.
            self._limit = float("inf")
            self._undo(position)
        else:
            self._pieces = []
            self._in_memory = 0

    def _undo(self, position: int) -> None:
        """Cut off what was written of the pieces that did not fit."""
        if self._file is not None:
            self._file.truncate(position)
            self._file.seek(position)

"""The end of what a task printed, in bounded memory, for those who tell why it failed.

Knows bytes and lines. Does not know tasks.
"""

from collections import deque

# Lines that are kept, and how much of each.
LINES = 20
_WIDTH = 500


class Tail:
    """The last lines of both streams, as they came."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=LINES)
        # By stream: the beginning of a line whose end has not come.
        self._beginnings: dict[int, bytes] = {}

    def add(self, stream: int, data: bytes) -> None:
        """Take some bytes, cut anywhere."""
        # Not all lines of much that comes at once: most would be pushed out again.
        first, *lines = data.rsplit(b"\n", LINES + 1)
        if len(lines) <= LINES:
            # Not the end of more lines than are kept.
            first = self._beginnings.get(stream, b"") + first[: _WIDTH + 1]
        whole = [first, *lines]
        self._beginnings[stream] = whole.pop()[: _WIDTH + 1]
        self._lines.extend([_cut(line) for line in whole])

    def text(self) -> str:
        """The lines, as text."""
        rests = [_cut(rest) for rest in self._beginnings.values() if rest]
        return b"\n".join([*self._lines, *rests][-LINES:]).decode("utf-8", "backslashreplace")


def _cut(line: bytes) -> bytes:
    return line if len(line) <= _WIDTH else line[:_WIDTH] + b" ..."

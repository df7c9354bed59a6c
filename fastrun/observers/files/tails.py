"""The end of what tasks printed, of those that failed: for reports that show it.

Knows bytes, and tasks by their numbers. Memory is bounded whatever tasks print and however many of them fail.
"""

from typing import NamedTuple

from fastrun.text import seen, shown

# Bytes that are kept of one task, and lines that are shown of them, where nothing else is said.
EACH = 64 << 10
LINES = 200

# Bytes of all that ended, and of all that run.
_ENDED = 3 << 20
_RUNNING = 32 << 20


class Tail(NamedTuple):
    """The end of what a task printed, to both streams as it came.

    ``cut``: whether there was more before it.
    """

    data: bytes
    cut: bool

    def text(self, most: int = LINES) -> tuple[str, bool]:
        """Its last lines as one may show them, and whether there was more before those."""
        lines = self.data.decode(errors="replace").removesuffix("\n").split("\n")
        if self.cut and len(lines) > 1:
            # It begins somewhere within.
            del lines[0]
        return "\n".join(shown(seen(line)) for line in lines[-most:]), self.cut or len(lines) > most


class Tails:
    """Keeps the end of the output of tasks that run, and then of those that are worth it.

    ``kept``: by number, of tasks that have ended.
    """

    def __init__(self, *, each: int = EACH, running: int = _RUNNING, ended: int = _ENDED) -> None:
        """``each``, ``running``, ``ended``: bytes, at the most, of one task, of all that run and of all in ``kept``."""
        self._each = each
        self._running = running
        self._left = ended
        self._running_tasks: set[int] = set()
        # By task that runs and has printed something: the end of it, and the length of all.
        self._tails: dict[int, bytearray] = {}
        self._lengths: dict[int, int] = {}
        self.kept: dict[int, Tail] = {}

    def begin(self, number: int) -> None:
        """The task runs from now on."""
        self._running_tasks.add(number)

    def add(self, number: int, data: bytes) -> None:
        """Something that it printed. What those print that do not run is not kept."""
        if number not in self._running_tasks:
            return
        tail = self._tails.setdefault(number, bytearray())
        self._lengths[number] = self._lengths.get(number, 0) + len(data)
        limit = min(self._each, self._running // (2 * len(self._tails)))
        tail += data[-limit:]
        # Not each time: what is kept would be moved for every line.
        if len(tail) > 2 * limit:
            del tail[:-limit]

    def end(self, number: int, *, keep: bool) -> None:
        """It runs no more. ``keep``: its output is worth it."""
        self._running_tasks.discard(number)
        tail = self._tails.pop(number, None)
        length = self._lengths.pop(number, 0)
        if tail is None or not keep:
            return
        # Where very many fail each gets less than the one before, and nobody takes all that is left.
        limit = min(self._each, self._left // 16)
        data = bytes(tail[-limit:]) if limit else b""
        self._left -= len(data)
        self.kept[number] = Tail(data, length > len(data))

"""Writes to a terminal that has some lines of fastrun's own below all others: the status.

The cursor rests in the empty line above them, so whatever is written by others, an echo of Ctrl-C, a shell's prompt
after a kill, moves them down or writes over them and is not lost itself. What is drawn is made of moves that end with
the write, so nothing is left to be undone; after a change of size it is right again with the next draw.

Knows the terminal's control sequences. Does not know what the lines say.
"""

import threading
import time
from collections.abc import Callable, Sequence

from fastrun.observers.writer.writer import Writer
from fastrun.protocols import STDERR, STDOUT

# ECMA-48: to the beginning of the line, erase from there to the end of the screen.
_ERASE = b"\r\x1b[J"

# Seconds within which the lines need not be drawn again while more output waits.
_PAUSE = 0.1

# Seconds that a terminal which takes nothing is waited for when the lines are to go.
_PATIENCE = 0.2


def frame(lines: Sequence[str]) -> bytes:
    """What draws lines, each shorter than the screen is wide, below the cursor's, over others or none."""
    if not lines:
        return b""
    # The line end of raw mode is that of the usual mode too. Each line is ended by an erase, not preceded by one: so
    # nothing flickers.
    drawn = "\x1b[K".join(f"\r\n{line}" for line in lines)
    return f"{drawn}\x1b[J\x1b[{len(lines)}A\r".encode("utf-8", "backslashreplace")


class ScreenWriter(Writer):
    """A writer whose STDERR is a terminal with lines at its end.

    They are taken off by what is written to that terminal next, and drawn again behind it: in the same write where both
    go to the same terminal.
    """

    def __init__(
        self, descriptors: dict[int, int], *, shared: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``shared``: whether STDOUT is the same terminal. ``clock``: seconds that only grow."""
        super().__init__(descriptors)
        # Nothing is written but by the thread: a terminal may take no more than a byte.
        self._fits = -1
        self._on_screen = frozenset([STDOUT, STDERR] if shared else [STDERR])
        self._clock = clock
        # What is to be on the screen, and what is; the latter is known to who writes alone.
        self._wanted = b""
        self._drawn = b""
        self._drawn_at = 0.0
        self._asked = False
        self._settled = threading.Event()

    def show(self, lines: bytes) -> None:
        """Have this ``frame`` on the screen from now on; an empty one for nothing."""
        self._wanted = lines
        self._settled.clear()
        if not self._asked:
            self._asked = True
            self.write([])

    def hide(self, timeout: float = _PATIENCE) -> None:
        """Have nothing on the screen, and return when it is so or the time, in seconds, is over."""
        self.show(b"")
        self._settled.wait(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Take the lines off, and wait as for any writer."""
        self.show(b"")
        return super().close(timeout)

    def _write(self, stream: int, run: list[bytes]) -> None:
        if run and self._drawn and stream in self._on_screen:
            self._drawn = b""
            run = [_ERASE, *run]
        super()._write(stream, run)

    def _write_last(self, stream: int, run: list[bytes]) -> None:
        # Before it is looked at what is wanted: who asks for more from here on is heard.
        self._asked = False
        wanted = self._wanted
        behind = bool(run) and stream in self._on_screen
        if (wanted == self._drawn and not behind) or (wanted and self._is_busy()):
            self._write(stream, run)
        else:
            self._draw(stream, run, wanted, behind=behind)
        if self._drawn == self._wanted:
            self._settled.set()

    def _draw(self, stream: int, run: list[bytes], wanted: bytes, *, behind: bool) -> None:
        if behind:
            self._write(stream, [*run, wanted])
        else:
            self._write(stream, run)
            # Over what is there, which a frame covers.
            super()._write(STDERR, [wanted or _ERASE])
        self._drawn = wanted
        self._drawn_at = self._clock()

    def _is_busy(self) -> bool:
        """Whether more is to be written at once, before anybody sees what is drawn now."""
        return not self._queue.empty() and self._clock() - self._drawn_at < _PAUSE

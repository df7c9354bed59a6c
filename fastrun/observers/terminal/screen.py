"""The writer of a terminal whose last lines are fastrun's own: the live status.

The cursor rests in the empty line above the status. So the output of other programs (an echo of Ctrl-C, a shell's
prompt after a kill) moves the status down or overwrites it, and is not lost itself. Each write returns the cursor to
its line, so there is never anything to undo. After a change of the terminal's size the next draw is right again.

Knows the terminal's control sequences. Does not know what the lines say.
"""

import threading
import time
from collections.abc import Callable, Sequence

from fastrun.observers.writer.writer import Writer
from fastrun.protocols import STDERR, STDOUT

# ECMA-48: move to the beginning of the line, erase from there to the end of the screen.
_ERASE = b"\r\x1b[J"

# Seconds for which a draw is put off while more output waits.
_PAUSE = 0.1

# Most seconds to wait for a blocked terminal when the lines are removed.
_PATIENCE = 0.2


def frame(lines: Sequence[str]) -> bytes:
    """Return the bytes that draw lines below the line of the cursor, over earlier lines if there are any.

    Each line must be shorter than the screen is wide.
    """
    if not lines:
        return b""
    # "\r\n" works in raw mode and in the usual mode. Each line is erased after its text and not before it, so that
    # nothing flickers.
    drawn = "\x1b[K".join(f"\r\n{line}" for line in lines)
    return f"{drawn}\x1b[J\x1b[{len(lines)}A\r".encode("utf-8", "backslashreplace")


class ScreenWriter(Writer):
    """A writer whose STDERR is a terminal with lines at its end.

    The next output to that terminal erases the lines, and they are drawn again after it. Output and lines are one write
    if both go to the same terminal.
    """

    def __init__(
        self, descriptors: dict[int, int], *, shared: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``shared``: whether STDOUT is the same terminal. ``clock``: seconds that only grow."""
        super().__init__(descriptors)
        # Only the thread writes, because a terminal may accept no more than a byte without blocking.
        self._fits = -1
        self._on_screen = frozenset([STDOUT, STDERR] if shared else [STDERR])
        self._clock = clock
        # The frame that should be on the screen, and the frame that is. Only the writing thread uses the second.
        self._wanted = b""
        self._drawn = b""
        self._drawn_at = 0.0
        self._asked = False
        self._up_to_date = threading.Event()

    def show(self, lines: bytes) -> None:
        """Keep this ``frame`` on the screen from now on; an empty one removes the lines."""
        self._wanted = lines
        self._up_to_date.clear()
        if not self._asked:
            self._asked = True
            self.write([])

    def hide(self, timeout: float = _PATIENCE) -> None:
        """Remove the lines, and return once they are gone or ``timeout`` seconds are over."""
        self.show(b"")
        self._up_to_date.wait(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Remove the lines, and close like any writer."""
        self.show(b"")
        return super().close(timeout)

    def _write(self, stream: int, run: list[bytes]) -> None:
        if run and self._drawn and stream in self._on_screen:
            self._drawn = b""
            run = [_ERASE, *run]
        super()._write(stream, run)

    def _write_last(self, stream: int, run: list[bytes]) -> None:
        # Cleared before ``_wanted`` is read: a ``show`` from here on asks for another write.
        self._asked = False
        wanted = self._wanted
        behind = bool(run) and stream in self._on_screen
        if (wanted == self._drawn and not behind) or (wanted and self._is_busy()):
            self._write(stream, run)
        else:
            self._draw(stream, run, wanted, behind=behind)
        if self._drawn == self._wanted:
            self._up_to_date.set()

    def _draw(self, stream: int, run: list[bytes], wanted: bytes, *, behind: bool) -> None:
        if behind:
            self._write(stream, [*run, wanted])
        else:
            self._write(stream, run)
            # A frame covers the lines that are there.
            super()._write(STDERR, [wanted or _ERASE])
        self._drawn = wanted
        self._drawn_at = self._clock()

    def _is_busy(self) -> bool:
        """Return whether more output waits and the last draw is recent, so that drawing can wait too."""
        return not self._queue.empty() and self._clock() - self._drawn_at < _PAUSE

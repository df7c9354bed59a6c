"""A terminal for tests: a real pty, and an emulator that says what is on its screen."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, Self

import pyte

from tests.support.processes import LIMIT, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Terminal:
    """``raw``: all that was written to it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._ours, self.theirs = os.openpty()
        # A key that sends a signal is not to throw away what is being written just then.
        attributes = termios.tcgetattr(self.theirs)
        attributes[3] |= termios.NOFLSH
        termios.tcsetattr(self.theirs, termios.TCSANOW, attributes)
        self._screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.resize(columns, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        if self.theirs >= 0:
            os.close(self.theirs)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """A process whose terminal this is, with all three streams unless it is said otherwise."""
        streams = {name: options.pop(name, self.theirs) for name in ("stdin", "stdout", "stderr")}
        env = {"TERM": "xterm", **environment(**options.pop("env", {}))}
        env.update(TERM=options.pop("term", "xterm"))
        theirs = self.theirs

        def take() -> None:
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        return subprocess.Popen(
            [*map(str, command)],
            preexec_fn=take,  # noqa: PLW1509  # no other threads here
            env=env,
            **streams,
            **options,
        )

    def fastrun(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        return self.start(sys.executable, "-m", "fastrun", *arguments, **options)

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def lines(self) -> list[str]:
        """All lines that were ever on the screen, as they are now, without the empty ones at the end."""
        width = self._screen.columns
        above = ["".join(line[column].data for column in range(width)) for line in self._screen.history.top]
        found = [line.rstrip() for line in [*above, *self._screen.display]]
        while found and not found[-1]:
            found.pop()
        return found

    def cells(self) -> list[list[Any]]:
        """All characters on the screen, row by row, with their colours as pyte has them."""
        columns, lines, buffer = range(self._screen.columns), range(self._screen.lines), self._screen.buffer
        return [[buffer[line][column] for column in columns] for line in lines]

    def below(self) -> list[str]:
        """The lines below the cursor, without the empty ones at the end."""
        found = [line.rstrip() for line in self._screen.display[self._screen.cursor.y + 1 :]]
        while found and not found[-1]:
            found.pop()
        return found

    def read(self, seconds: float) -> bool:
        """Take in what is written within that time. Returns False at the end: nobody has it open any more."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:
            data = b""
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read until something is so."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"it never happened: {self.lines()}"
            self.read(0.01)

    def wait_for_line(self, text: str) -> None:
        """Read until a line of the status holds a text."""
        self.wait_for(lambda: any(text in line for line in self.below()))

    def finish(self, process: subprocess.Popen[bytes]) -> int:
        """Read to the end. Returns the exit code."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1
        end = time.monotonic() + LIMIT
        while self.read(0.01):
            if time.monotonic() > end:
                process.kill()
                raise AssertionError(f"it does not end: {self.lines()}")
        return process.wait()

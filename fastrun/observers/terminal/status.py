"""What is seen of a run while it lasts: counts, the tasks that run, how long the rest will take.

On a terminal some lines that are drawn again and again; without one a line now and then. Knows tasks, the clock and
the size of the terminal; not how anything is written. A run of which nobody watches the terminal does not import it.
"""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from fastrun.document.task import Task
from fastrun.observers.terminal.estimate import Estimate, in_words
from fastrun.observers.terminal.screen import ScreenWriter, frame
from fastrun.outcome import Outcome, Report, Start, Status
from fastrun.protocols import Observer
from fastrun.text import printable, shown_line

# Seconds between two looks.
_DRAWN_EVERY = 0.1
_SAID_EVERY = 30.0

# Where the size of a terminal is not known (columns, lines).
_USUAL_SIZE = (80, 24)

# Lines that tasks may have on a terminal that is not as high as twice that.
_FEW = 6

# What is counted where there is some, and its colour (ECMA-48 8.3.117).
_MARKED = {Status.FAILED: "\x1b[31m", Status.SKIPPED: "\x1b[33m", Status.INTERRUPTED: "\x1b[35m"}
_PLAIN = "\x1b[m"

# What holds up those that could run, by its name in ``Start.held_by``.
_HELD = {"load": "the load is too high", "memory": "memory is short", "jobserver": "no job token is free"}


class Progress(Observer, ABC):
    """Counts, and what runs since when. ``every``: seconds between two looks."""

    every = _DRAWN_EVERY

    def __init__(
        self,
        *,
        places: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock``: seconds that only grow.

        ``places``: how many tasks may run at once, None if as many as are ready.
        """
        # Seconds that tasks took in earlier runs, by name.
        self._expected: Mapping[str, float] = {}
        # Tells what holds up tasks that could run, None for nothing but the number of slots.
        self.held_by: Callable[[], str | None] = lambda: None
        self._places = places
        self._clock = clock
        self._began = 0.0
        self._tasks: Sequence[Task] = ()
        self._counts = dict.fromkeys(Status, 0)
        self._again: set[int] = set()
        self._estimate = Estimate(())
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def look(self) -> None:
        """Show how it stands."""

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Go by how long tasks took in earlier runs. Before the run starts. ``seconds``: by name."""
        self._expected = seconds

    def leave(self) -> None:
        """Leave the terminal to others for now."""

    def begin(self, tasks: Sequence[Task]) -> None:
        """Time counts from now."""
        self._began = self._clock()
        self._tasks = tasks
        self._estimate = Estimate(tasks, self._expected, self._places)

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Look now and then from now on."""
        self.begin(tasks)
        self._timer = asyncio.get_running_loop().call_later(self.every, self._look_again)

    def _look_again(self) -> None:
        self.look()
        self._timer = asyncio.get_running_loop().call_later(self.every, self._look_again)

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """One more runs."""
        self._estimate.started(number, self.now())
        if start.attempt > 1:
            self._again.discard(number)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:  # noqa: ARG002
        """One less runs, or never did."""
        self._estimate.ended(number, again=outcome.retry_in is not None)
        if outcome.retry_in is not None:
            self._again.add(number)
            return
        self._again.discard(number)
        self._counts[outcome.status] += 1

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def now(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._began

    def summary(self, now: float, *, color: bool = False) -> str:
        """``12/40 done, 3 running, 1 failed, 2 skipped; 1:05, about 2 min left``."""
        done = sum(self._counts.values())
        counts = [f"{done:,}/{len(self._tasks):,} done", f"{len(self._estimate.running):,} running"]
        for status, mark in _MARKED.items():
            if count := self._counts[status]:
                text = f"{count:,} {status.label}"
                counts.append(f"{mark}{text}{_PLAIN}" if color else text)
        if self._again:
            counts.append(f"{len(self._again):,} to be tried again")
        if held := _HELD.get(self.held_by() or ""):
            counts.append(f"held up: {held}")
        times = filter(None, [_age(now), in_words(self._estimate.left(now))])
        return f"{', '.join(counts)}; {', '.join(times)}"


class Live(Progress):
    """Lines at the end of a terminal."""

    def __init__(
        self,
        writer: ScreenWriter,
        tail: Callable[[int], bytes],
        *,
        terminal: int,
        color: bool = False,
        size: Callable[[], tuple[int, int]] | None = None,
        places: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``writer``: draws. ``tail``: the end of what a task that runs has printed, by its number.

        ``terminal``: its descriptor. ``size``: its columns and lines, asked before each draw.
        """
        super().__init__(places=places, clock=clock)
        self._writer = writer
        self._tail = tail
        self._terminal = terminal
        self._color = color
        self._size = size or self._real_size

    def look(self) -> None:
        """Draw, unless somebody else has the terminal: in the background there is nobody to show it to."""
        self._writer.show(frame(self.lines() if self._in_foreground() else []))

    def leave(self) -> None:
        """Take the lines off, until the next look."""
        self._writer.hide()

    def run_ended(self, report: Report) -> None:
        """Leave the terminal to the report."""
        super().run_ended(report)
        self._writer.show(b"")

    def lines(self) -> list[str]:
        """What is drawn: as many of the tasks that run as there is room for, the longest-running first."""
        columns, height = (found or usual for found, usual in zip(self._size(), _USUAL_SIZE, strict=True))
        # In the last column some terminals go to the next line.
        width = columns - 1
        if width < 1 or height < 2:
            return []
        # Above is the line of the cursor, and half of the screen is for what tasks print.
        room = max(1, min(height - 2, max(height // 2, _FEW) - 1))
        now = self.now()
        whole = self.summary(now)
        summary = printable(whole, width)
        lines = [self.summary(now, color=self._color) if summary == whole else summary]
        for number, began in islice(self._estimate.running.items(), room - 1):
            lines.append(self._line_of(number, now - began, width))
        return lines

    def _line_of(self, number: int, age: float, width: int) -> str:
        last = self._tail(number).rstrip(b"\r\n").rpartition(b"\n")[2]
        said = shown_line(last) if last else ""
        label = printable(self._tasks[number].name, max(width // 2, 1) if said else width)
        return printable(f"{_age(age):>7} {label}" + (f"  {said}" if said else ""), width)

    def _real_size(self) -> tuple[int, int]:
        try:
            return os.get_terminal_size(self._terminal)
        except OSError:
            return _USUAL_SIZE

    def _in_foreground(self) -> bool:
        # Not known (not our controlling terminal, a sandbox): then it is.
        with suppress(OSError):
            return os.tcgetpgrp(self._terminal) in (os.getpgrp(), 0)
        return True


class Spoken(Progress):
    """A line now and then, for a log."""

    every = _SAID_EVERY

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        places: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``say``: takes a line."""
        super().__init__(places=places, clock=clock)
        self._say = say

    def look(self) -> None:
        """Say how it stands, and what has run longest."""
        now = self.now()
        longest = next(iter(self._estimate.running.items()), None)
        ran = f"; {printable(self._tasks[longest[0]].name)} for {_age(now - longest[1])}" if longest is not None else ""
        self._say(f"{self.summary(now)}{ran}")


def _age(seconds: float) -> str:
    """``0:05``, ``1:05``, ``1:01:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

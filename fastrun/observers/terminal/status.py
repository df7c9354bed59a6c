"""The live status of a run: counts, the tasks that run, how long the rest will take.

On a terminal these are lines that are redrawn all the time; without one a line is printed now and then. Knows tasks,
the clock and the size of the terminal. Does not know how lines are written. A run without a live status does not import
this module.
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

# Seconds between two draws, and between two printed lines.
_DRAWN_EVERY = 0.1
_SAID_EVERY = 30.0

# Columns and lines of a terminal whose size is not known.
_USUAL_SIZE = (80, 24)

# Lines that the status may have on a terminal with fewer than twice as many.
_FEW = 6

# Statuses that are shown once their count is not 0, with their colours (ECMA-48 8.3.117).
_MARKED = {Status.FAILED: "\x1b[31m", Status.SKIPPED: "\x1b[33m", Status.INTERRUPTED: "\x1b[35m"}
_DONE, _RUNNING, _FAINT, _PLAIN = "\x1b[32m", "\x1b[36m", "\x1b[2m", "\x1b[m"

# Characters of the bar. Some terminals draw them two columns wide.
_BAR = 10

# What delays tasks that are ready, by its name in ``Start.held_by``.
_HELD = {"load": "the load is too high", "memory": "memory is short", "jobserver": "no job token is free"}


class Progress(Observer, ABC):
    """Counts tasks, and knows which run since when. ``every``: seconds between two calls of ``show``."""

    every = _DRAWN_EVERY

    def __init__(
        self,
        *,
        slots: int | None = None,
        expected: Mapping[str, float] | None = None,
        held_by: Callable[[], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock``: seconds that only grow.

        ``slots``: how many tasks may run at once, None if as many as are ready. ``expected``: seconds that tasks took
        in earlier runs, by name. ``held_by``: returns what delays tasks that are ready, None if only the number of
        slots does.
        """
        self._slots = slots
        self._expected = expected or {}
        self._held_by = held_by
        self._clock = clock
        self._began = 0.0
        self._tasks: Sequence[Task] = ()
        self._counts = dict.fromkeys(Status, 0)
        self._again: set[int] = set()
        self._estimate = Estimate(())
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def show(self) -> None:
        """Show the present state of the run."""

    def leave(self) -> None:
        """Leave the terminal to others for now."""

    def begin(self, tasks: Sequence[Task]) -> None:
        """Start the clock."""
        self._began = self._clock()
        self._tasks = tasks
        self._estimate = Estimate(tasks, self._expected, self._slots)

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Show the state now and then from now on."""
        self.begin(tasks)
        self._timer = asyncio.get_running_loop().call_later(self.every, self._show_again)

    def _show_again(self) -> None:
        self.show()
        self._timer = asyncio.get_running_loop().call_later(self.every, self._show_again)

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """Count one more running task."""
        self._estimate.started(number, self.now())
        if start.attempt > 1:
            self._again.discard(number)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:  # noqa: ARG002
        """Count one ended attempt or one skipped task."""
        self._estimate.ended(number, again=outcome.retry_in is not None)
        if outcome.retry_in is not None:
            self._again.add(number)
            return
        self._again.discard(number)
        self._counts[outcome.status] += 1

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Stop showing the state."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def _done(self) -> int:
        return sum(self._counts.values())

    def now(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._began

    def summary(self, now: float, *, color: bool = False) -> str:
        """Return a line such as ``12/40 done, 3 running, 1 failed, 2 skipped; 1:05, about 2 min left``."""
        done = self._done
        running = len(self._estimate.running)
        marked = [(done, f"{done:,}/{len(self._tasks):,} done", _DONE), (running, f"{running:,} running", _RUNNING)]
        for status, mark in _MARKED.items():
            if count := self._counts[status]:
                marked.append((count, f"{count:,} {status.label}", mark))
        counts = [f"{mark}{text}{_PLAIN}" if color and count else text for count, text, mark in marked]
        if self._again:
            counts.append(f"{len(self._again):,} to be tried again")
        if self._held_by is not None and (held := _HELD.get(self._held_by() or "")):
            counts.append(f"held up: {held}")
        times = filter(None, [_age(now), in_words(self._estimate.left(now))])
        return f"{', '.join(counts)}; {', '.join(times)}"


class Live(Progress):
    """The status as lines at the end of a terminal."""

    def __init__(
        self,
        writer: ScreenWriter,
        tail: Callable[[int], bytes],
        *,
        terminal: int,
        color: bool = False,
        size: Callable[[], tuple[int, int]] | None = None,
        slots: int | None = None,
        expected: Mapping[str, float] | None = None,
        held_by: Callable[[], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``writer``: draws the lines. ``tail``: returns the last output of a running task, by its number.

        ``terminal``: the descriptor of the terminal. ``size``: returns its columns and lines; called before each draw.
        """
        super().__init__(slots=slots, expected=expected, held_by=held_by, clock=clock)
        self._writer = writer
        self._tail = tail
        self._terminal = terminal
        self._color = color
        self._size = size or self._real_size

    def show(self) -> None:
        """Draw the lines. In the background draw nothing, because another program has the terminal."""
        self._writer.show(frame(self.lines() if self._in_foreground() else []))

    def leave(self) -> None:
        """Remove the lines until the next ``show``."""
        self._writer.hide()

    def run_ended(self, report: Report) -> None:
        """Leave the terminal to the report."""
        super().run_ended(report)
        self._writer.show(b"")

    def lines(self) -> list[str]:
        """Return the lines: the summary, and as many running tasks as fit, the longest-running first.

        Where there is room, a bar precedes the summary, and the last line says how many tasks are not shown.
        """
        columns, height = (found or usual for found, usual in zip(self._size(), _USUAL_SIZE, strict=True))
        # Some terminals wrap to the next line after a character in the last column.
        width = columns - 1
        if width < 1 or height < 2:
            return []
        # The cursor needs the line above, and half of the screen is left for the tasks' output.
        room = max(1, min(height - 2, max(height // 2, _FEW) - 1))
        now = self.now()
        whole = self.summary(now)
        summary = printable(whole, width)
        lines = [self.summary(now, color=self._color) if summary == whole else summary]
        if self._tasks and len(whole) + 2 * _BAR < width:
            lines[0] = f"{self._bar()} {lines[0]}"
        running = self._estimate.running
        shown = min(room - 1, len(running))
        if 1 < shown < len(running):
            shown -= 1
        lines += [self._line_of(number, now - began, width) for number, began in islice(running.items(), shown)]
        if len(lines) < room and shown < len(running):
            lines.append(printable(f"{f'+{len(running) - shown:,}':>7} more", width))
        return lines

    def _bar(self) -> str:
        done = _BAR * self._done // len(self._tasks)
        if not self._color:
            return "━" * done + "─" * (_BAR - done)
        mark = _MARKED[Status.FAILED] if self._counts[Status.FAILED] else _DONE
        return f"{mark}{'━' * done}{_PLAIN}{_FAINT}{'─' * (_BAR - done)}{_PLAIN}"

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
        # If the system does not tell (another controlling terminal, a sandbox), assume the foreground.
        with suppress(OSError):
            return os.tcgetpgrp(self._terminal) in (os.getpgrp(), 0)
        return True


class Spoken(Progress):
    """The status as a printed line now and then, for a log."""

    every = _SAID_EVERY

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        slots: int | None = None,
        expected: Mapping[str, float] | None = None,
        held_by: Callable[[], str | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``say``: called with each line."""
        super().__init__(slots=slots, expected=expected, held_by=held_by, clock=clock)
        self._say = say

    def show(self) -> None:
        """Print the summary, and the task that has run longest."""
        now = self.now()
        longest = next(iter(self._estimate.running.items()), None)
        ran = f"; {printable(self._tasks[longest[0]].name)} for {_age(now - longest[1])}" if longest is not None else ""
        self._say(f"{self.summary(now)}{ran}")


def _age(seconds: float) -> str:
    """Return a text such as ``0:05``, ``1:05`` or ``1:01:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

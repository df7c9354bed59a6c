"""Timeouts of tasks and of the run: a task that takes longer is asked to end, and then made to end.

Knows numbers of tasks, seconds and the loop's timers. Does not know how a task is ended, nor a run.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from fastrun.document.task import Task
from fastrun.outcome import Cause, Outcome, Status


class Deadlines:
    """The deadlines of the tasks that run, and of the run."""

    def __init__(self, timeout: float | None, grace: float, end: Callable[[int, bool], None]) -> None:
        """``timeout``: seconds for a task without a timeout of its own; None for no limit.

        ``grace``: seconds between asking a task to end and making it end. ``end``: asks a task or, with True, makes it.
        """
        self._timeout = timeout
        self._grace = grace
        self._end = end
        self._timers = _Timers(self._time_is_over)
        # Timers of tasks whose time was over. They stay when the attempt has ended: processes that it left may live on.
        self._forcing = _Timers(self._time_is_really_over)
        # The timer of the run, by its seconds.
        self._run: _Timers | None = None
        # Tasks that were asked to end, and have not.
        self._asked: set[int] = set()

    def begin_run(self, seconds: float, over: Callable[[float], None]) -> None:
        """Start the timer of the run. ``over``: called with the seconds when they are over."""
        self._run = _Timers(over)
        self._run.begin(seconds, seconds)

    def end_run(self) -> None:
        """Stop the timer of the run."""
        if self._run is not None:
            self._run.end_all()

    def begin(self, number: int, task: Task) -> None:
        """Start the timer of a task."""
        timeout = self._of(task)
        if timeout is not None:
            self._timers.begin(number, timeout)

    def end(self, number: int, task: Task, outcome: Outcome) -> Outcome:
        """Stop the timer of a task. Return its outcome: a failure if it was ended for its timeout."""
        self._timers.end(number)
        if number in self._asked:
            self._asked.discard(number)
            # A task may have come to its own end before it was asked.
            if outcome.status is Status.INTERRUPTED:
                return Outcome(Status.FAILED, Cause.TIMEOUT, self._of(task) or 0.0)
        return outcome

    def forget(self, number: int) -> None:
        """Stop the timer that a task's last attempt has left, before the next one starts.

        A start may be told only in the moment in which that timer makes the task end.
        """
        self._forcing.end(number)

    def pause(self) -> None:
        """Stop all timers until ``go_on``."""
        for timers in (self._timers, self._forcing, self._run):
            if timers is not None:
                timers.pause()

    def go_on(self) -> None:
        """Let the timers go on. Since ``pause`` some tasks may have ended, and some of these may have begun again."""
        for timers in (self._timers, self._forcing, self._run):
            if timers is not None:
                timers.go_on()

    def _of(self, task: Task) -> float | None:
        return self._timeout if task.timeout is None else task.timeout

    def _time_is_over(self, number: int) -> None:
        self._asked.add(number)
        self._forcing.begin(number, self._grace)
        self._end(number, False)

    def _time_is_really_over(self, number: int) -> None:
        self._end(number, True)


class _Timers:
    """Timers that call the same function, each with its key, and that can stand still."""

    def __init__(self, over: Callable[[Any], None]) -> None:
        self._over = over
        self._handles: dict[Any, asyncio.TimerHandle] = {}
        # During a pause, the seconds that were left.
        self._left: list[tuple[Any, float]] = []

    def begin(self, key: Any, seconds: float) -> None:
        self._handles[key] = asyncio.get_running_loop().call_later(seconds, self._is_over, key)

    def end(self, key: Any) -> None:
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def end_all(self) -> None:
        for key in list(self._handles):
            self.end(key)

    def pause(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, handle in self._handles.items():
            # A timer stands still already if this process was stopped twice in a row.
            if not handle.cancelled():
                handle.cancel()
                self._left.append((key, handle.when() - now))

    def go_on(self) -> None:
        for key, seconds in self._left:
            handle = self._handles.get(key)
            if handle is not None and handle.cancelled():
                self.begin(key, seconds)
        self._left.clear()

    def _is_over(self, key: Any) -> None:
        del self._handles[key]
        self._over(key)

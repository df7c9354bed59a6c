"""Timeouts of tasks: a task that takes longer is asked to end, and then made to end.

Knows numbers of tasks, seconds and the loop's timers. Does not know how a task is ended.
"""

import asyncio
from collections.abc import Callable

from fastrun.document.task import Task
from fastrun.outcome import Cause, Outcome, Status


class Deadlines:
    """The deadlines of the tasks that run."""

    def __init__(self, timeout: float | None, grace: float, end: Callable[[int, bool], None]) -> None:
        """``timeout``: seconds for a task without a timeout of its own; None for no limit.

        ``grace``: seconds between asking a task to end and making it end. ``end``: asks a task or, with True, makes it.
        """
        self._timeout = timeout
        self._grace = grace
        self._end = end
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # Timers of tasks whose time was over. They stay when the task has ended: processes that it left may live on.
        self._forcing: dict[int, asyncio.TimerHandle] = {}
        # Tasks that were asked to end, and have not.
        self._asked: set[int] = set()
        # During a pause, for each timer: the dict that holds it, its task, its function and the seconds that were left.
        self._left: list[tuple[dict[int, asyncio.TimerHandle], int, Callable[[int], None], float]] = []

    def begin(self, number: int, task: Task) -> None:
        """Start the timer of a task."""
        forcing = self._forcing.pop(number, None)
        if forcing is not None:
            # The timer of the last attempt.
            forcing.cancel()
        timeout = self._of(task)
        if timeout is not None:
            self._timers[number] = asyncio.get_running_loop().call_later(timeout, self._time_is_over, number)

    def end(self, number: int, task: Task, outcome: Outcome) -> Outcome:
        """Stop the timer of a task. Return its outcome: a failure if it was ended for its timeout."""
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        if number in self._asked:
            self._asked.discard(number)
            # A task may have come to its own end before it was asked.
            if outcome.status is Status.INTERRUPTED:
                return Outcome(Status.FAILED, Cause.TIMEOUT, self._of(task) or 0.0)
        return outcome

    def pause(self) -> None:
        """Stop all timers until ``go_on``."""
        now = asyncio.get_running_loop().time()
        for timers, over in ((self._timers, self._time_is_over), (self._forcing, self._time_is_really_over)):
            for number, timer in timers.items():
                # A timer stands still already if this process was stopped twice in a row.
                if not timer.cancelled():
                    timer.cancel()
                    self._left.append((timers, number, over, timer.when() - now))

    def go_on(self) -> None:
        """Let the timers go on. Since ``pause`` some tasks may have ended, and some of these may have begun again."""
        loop = asyncio.get_running_loop()
        for timers, number, over, seconds in self._left:
            timer = timers.get(number)
            if timer is not None and timer.cancelled():
                timers[number] = loop.call_later(seconds, over, number)
        self._left.clear()

    def _of(self, task: Task) -> float | None:
        return self._timeout if task.timeout is None else task.timeout

    def _time_is_over(self, number: int) -> None:
        self._timers.pop(number, None)
        self._asked.add(number)
        loop = asyncio.get_running_loop()
        self._forcing[number] = loop.call_later(self._grace, self._time_is_really_over, number)
        self._end(number, False)

    def _time_is_really_over(self, number: int) -> None:
        del self._forcing[number]
        self._end(number, True)

"""The time that tasks may take: those which take longer are asked to end, and then made to.

Knows numbers of tasks, seconds and the loop's timers. Does not know how a task is ended.
"""

import asyncio
from collections.abc import Callable

from fastrun.document.task import Task
from fastrun.outcome import Cause, Outcome, Status


class Deadlines:
    """The deadlines of the tasks that run."""

    def __init__(self, timeout: float | None, grace: float, end: Callable[[int, bool], None]) -> None:
        """``timeout``: seconds for a task that has none of its own, None for ever.

        ``grace``: seconds between asking a task to end and making it. ``end``: does the one or, if True, the other.
        """
        self._timeout = timeout
        self._grace = grace
        self._end = end
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # Of those whose time was over: not gone once the task has ended, for what it left behind may live on.
        self._forcing: dict[int, asyncio.TimerHandle] = {}
        # Tasks that were asked to end, and have not.
        self._asked: set[int] = set()
        # While time stands still: which timers those were, of which task, what they call, and seconds that were left.
        self._left: list[tuple[dict[int, asyncio.TimerHandle], int, Callable[[int], None], float]] = []

    def begin(self, number: int, task: Task) -> None:
        """Let the time of a task begin."""
        forcing = self._forcing.pop(number, None)
        if forcing is not None:
            # Of the attempt before.
            forcing.cancel()
        timeout = self._of(task)
        if timeout is not None:
            self._timers[number] = asyncio.get_running_loop().call_later(timeout, self._time_is_over, number)

    def end(self, number: int, task: Task, outcome: Outcome) -> Outcome:
        """What a task has ended as, in view of its time."""
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        if number in self._asked:
            self._asked.discard(number)
            # Not if it came to its own end before it was told.
            if outcome.status is Status.INTERRUPTED:
                return Outcome(Status.FAILED, Cause.TIMEOUT, self._of(task) or 0.0)
        return outcome

    def pause(self) -> None:
        """Let time stand still."""
        now = asyncio.get_running_loop().time()
        for timers, over in ((self._timers, self._time_is_over), (self._forcing, self._time_is_really_over)):
            for number, timer in timers.items():
                # It stands still already, where this process was stopped twice in a row.
                if not timer.cancelled():
                    timer.cancel()
                    self._left.append((timers, number, over, timer.when() - now))

    def go_on(self) -> None:
        """Let it pass again; some tasks may have ended since ``pause``, and begun once more."""
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

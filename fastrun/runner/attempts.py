"""Attempts at tasks: their numbers, and when a failed task is tried again.

Knows tasks, outcomes and the loop's timers. Does not know how a task is started.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from fastrun.document.task import Task
from fastrun.outcome import Cause, Outcome, Start
from fastrun.plan.lanes import runs_in_process
from fastrun.protocols import ATTEMPT, Job
from fastrun.settings import RunSettings


class Attempts:
    """The numbers of the attempts, and the tasks that are held until their next attempt.

    An attempt that was lost with its worker is not one of the task's ``retries``. It has a number all the same, and
    adds one to the most attempts that there may be: with two retries and one loss the last attempt is 4 of 4.
    """

    def __init__(self, tasks: Sequence[Task], settings: RunSettings, again: Callable[[int], None]) -> None:
        """``again``: called with a task's number when its next attempt is due."""
        self._tasks = tasks
        self._settings = settings
        self._again = again
        # By task that has failed before, the number of its present attempt.
        self._numbers: dict[int, int] = {}
        # By task, how many of its attempts were lost.
        self._losses: dict[int, int] = {}
        # By task that is held, its timer and the outcome of its last attempt.
        self._held: dict[int, tuple[asyncio.TimerHandle, Outcome]] = {}

    @property
    def any_again(self) -> bool:
        """Return whether a task was ever held."""
        return bool(self._numbers)

    @property
    def any_held(self) -> bool:
        """Return whether a task is held now."""
        return bool(self._held)

    def started(self, number: int, start: Start) -> Start:
        """Return the start with the number of its attempt."""
        attempts = self._most(number)
        return start if attempts == 1 else start._replace(attempt=self._numbers.get(number, 1), attempts=attempts)

    def ended(self, number: int, outcome: Outcome) -> Outcome:
        """Return the outcome with the number of its attempt."""
        attempts = self._most(number)
        return outcome if attempts == 1 else outcome._replace(attempt=self._numbers.get(number, 1), attempts=attempts)

    def broken_off(self, number: int, outcome: Outcome) -> Outcome:
        """Return the outcome of a task that does not start any more, with the attempts that it had before."""
        had = self._numbers.get(number, 1) - 1
        return outcome._replace(attempt=had, attempts=self._most(number)) if had else outcome

    def delay(self, number: int, outcome: Outcome) -> float | None:
        """Return seconds until a task that has failed is to be tried again, None if it is not."""
        if outcome.lost:
            self._losses[number] = self._losses.get(number, 0) + 1
            return 0.0
        task = self._tasks[number]
        # A snippet in a thread runs on when its time is over: the next attempt would run beside it.
        if outcome.cause is Cause.TIMEOUT and not runs_in_process(task, self._settings):
            return None
        own = self._numbers.get(number, 1) - self._losses.get(number, 0)
        if own > task.retries:
            return None
        from random import uniform  # 5 ms, and most runs never need it

        # Tasks that failed together do not come back together.
        return task.retry_delay * 2.0 ** (own - 1) * uniform(1.0, 1.25)  # noqa: S311  # nothing is gained by guessing it

    def hold(self, number: int, outcome: Outcome, delay: float) -> None:
        """Hold a task for ``delay`` seconds; ``outcome`` is that of its last attempt."""
        timer = asyncio.get_running_loop().call_later(delay, self._try_again, number)
        self._held[number] = timer, outcome
        self._numbers[number] = self._numbers.get(number, 1) + 1

    def give_up(self) -> Iterator[tuple[int, Outcome]]:
        """Yield each task that is held, with the outcome of its last attempt, and hold it no more."""
        while self._held:
            number = next(iter(self._held))
            timer, outcome = self._held.pop(number)
            timer.cancel()
            yield number, outcome

    def job(self, number: int) -> Job:
        """Return a task as its next attempt runs it: a second or later attempt has ATTEMPT set."""
        task = self._tasks[number]
        attempt = self._numbers.get(number)
        if attempt is not None:
            task = task._replace(env={**(task.env or {}), ATTEMPT: str(attempt)})
        return number, task

    def _most(self, number: int) -> int:
        """Return the most attempts that there may be at a task."""
        return self._tasks[number].retries + 1 + self._losses.get(number, 0)

    def _try_again(self, number: int) -> None:
        del self._held[number]
        self._again(number)

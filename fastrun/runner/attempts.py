"""Further attempts at tasks that have failed: which, how many and when.

Knows tasks, outcomes and the loop's timers. Does not know how a task is started.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from fastrun.document.task import Task
from fastrun.outcome import Outcome
from fastrun.protocols import ATTEMPT, Job


class Attempts:
    """Counts the attempts, and holds the tasks that are to be tried again until it is time."""

    def __init__(self, tasks: Sequence[Task], again: Callable[[int], None]) -> None:
        """``again``: called once it is time for a task."""
        self._tasks = tasks
        self._again = again
        # By task that was tried before, the number of its present attempt.
        self._numbers: dict[int, int] = {}
        # By task, how many of its attempts were lost through no fault of its own.
        self._lost: dict[int, int] = {}
        # Of tasks that are held: when, and how the last attempt ended.
        self._held: dict[int, tuple[asyncio.TimerHandle, Outcome]] = {}

    @property
    def any_again(self) -> bool:
        """Whether a task was ever held."""
        return bool(self._numbers)

    @property
    def any_held(self) -> bool:
        """Whether one is held now."""
        return bool(self._held)

    def place(self, number: int) -> tuple[int, int]:
        """The number of a task's present attempt, and how many there may be."""
        return self._numbers.get(number, 1), self._tasks[number].retries + 1 + self._lost.get(number, 0)

    def delay(self, number: int, outcome: Outcome, *, still_runs: bool) -> float | None:
        """Seconds until a task that has failed is to be tried again, None if it is not.

        ``still_runs``: although it has ended: the next attempt would run beside this one.
        """
        if outcome.again is not None:
            # Not one of the task's own attempts.
            self._lost[number] = self._lost.get(number, 0) + 1
            return outcome.again
        task = self._tasks[number]
        attempt = self._numbers.get(number, 1) - self._lost.get(number, 0)
        if attempt > task.retries or still_runs:
            return None
        from random import uniform  # 5 ms, and most runs never need it

        # So that those which failed together do not come back together.
        return task.retry_delay * 2.0 ** (attempt - 1) * uniform(1.0, 1.25)  # noqa: S311  # nobody gains by guessing it

    def hold(self, number: int, outcome: Outcome, delay: float) -> None:
        """Let a task wait for its next attempt so many seconds."""
        timer = asyncio.get_running_loop().call_later(delay, self._try_again, number)
        self._held[number] = timer, outcome
        self._numbers[number] = self._numbers.get(number, 1) + 1

    def give_up(self) -> Iterator[tuple[int, Outcome]]:
        """Tasks that will not be tried again after all, each with how its last attempt ended."""
        while self._held:
            number = next(iter(self._held))
            timer, outcome = self._held.pop(number)
            timer.cancel()
            yield number, outcome

    def job(self, number: int) -> Job:
        """A task as it is run: a further attempt at a command sees in its environment that it is one."""
        task = self._tasks[number]
        attempt = self._numbers.get(number)
        if attempt is not None and task.type == "exec":
            task = task._replace(env={**(task.env or {}), ATTEMPT: str(attempt)})
        return number, task

    def _try_again(self, number: int) -> None:
        del self._held[number]
        self._again(number)

"""The interruption of a run: by a signal, or because its time is over.

Knows seconds and the loop's timers. Does not know how tasks are ended.
"""

import asyncio
import signal
from collections.abc import Callable

# Seconds after an interruption before the user is told that tasks still run.
_PATIENCE = 1.0


class Interruption:
    """What interrupted a run. ``signal``: its number. ``timed_out``: the seconds that were over. At most one is set."""

    def __init__(
        self, grace: float, end: Callable[[bool], None], waiting: Callable[[], int], warn: Callable[[str], None]
    ) -> None:
        """``grace``: seconds between asking tasks to end and making them end.

        ``end``: asks all tasks to end or, with True, makes them. ``waiting``: returns how many tasks were asked and
        still run. ``warn``: takes one line.
        """
        self._grace = grace
        self._end = end
        self._waiting = waiting
        self._warn = warn
        self._timers: list[asyncio.TimerHandle] = []
        self.signal: int | None = None
        self.timed_out: float | None = None

    @property
    def begun(self) -> bool:
        """Return whether the run was interrupted."""
        return self.signal is not None or self.timed_out is not None

    def by_signal(self, number: int) -> None:
        """Ask all tasks to end. The same signal again, or SIGINT, makes them end at once.

        Any other second signal changes nothing: service managers send SIGHUP right behind SIGTERM.
        """
        if not self.begun:
            self.signal = number
            self._begin()
        elif number in (signal.SIGINT, self.signal):
            self._end(True)

    def by_time(self, seconds: float) -> None:
        """Ask all tasks to end: the run has taken so many seconds, the most that it may take."""
        if not self.begun:
            self.timed_out = seconds
            self._warn(f"the run timed out after {seconds:g} s; its tasks are ended")
            self._begin()

    def over(self) -> None:
        """Note that the run has ended."""
        for timer in self._timers:
            timer.cancel()

    def _begin(self) -> None:
        self._end(False)
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(self._grace, self._end, True),
            loop.call_later(_PATIENCE, self._say_what_is_waited_for),
        ]

    def _say_what_is_waited_for(self) -> None:
        if running := self._waiting():
            tasks = f"{running:,} task{'s' * (running != 1)}"
            left = self._grace - _PATIENCE
            self._warn(f"waiting at most {left:g} s more for {tasks} to end; Ctrl-C (SIGINT) kills them now")

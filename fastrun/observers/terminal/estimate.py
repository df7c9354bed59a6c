"""The estimate of the time that is left, made from known durations or from the share of tasks that have ended.

Knows the numbers of tasks, and seconds. Has no clock. Gives no estimate where it would be a guess.
"""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from fastrun.document.task import Task
from fastrun.plan.graph import durations, graph_of

# Fewest ended tasks, smallest ended share and fewest seconds from which the rest can be estimated.
_ENDED_AT_LEAST = 10
_SHARE_AT_LEAST = 0.05
_SECONDS_AT_LEAST = 3.0

# Most tasks for which paths are computed: for a hundred thousand this takes a second.
_PATHS_AT_MOST = 50_000


class Estimate:
    """Is told of starts and ends, and estimates how long the rest will take.

    ``running``: by number of each running task, when it began. Tasks that began first come first.
    """

    def __init__(
        self, tasks: Sequence[Task], expected: Mapping[str, float] | None = None, slots: int | None = None
    ) -> None:
        """``expected``: seconds by name, from an earlier run. Names of other tasks are ignored.

        ``slots``: most tasks that may run at once, None if all ready tasks may.
        """
        self._slots = slots
        self._total = len(tasks)
        self._ended = 0
        self._ran = 0
        self.running: dict[int, float] = {}
        # Per task: the expected seconds of it, and of the longest path that begins with it. Both are empty unless the
        # durations of at least half of the tasks are known.
        self._seconds: list[float] = []
        self._paths: list[float] = []
        # Expected seconds of all tasks that have not ended. A heap of the paths of tasks that wait, longest first.
        self._work = 0.0
        self._waiting: list[tuple[float, int]] = []
        # Tasks that no longer wait: their entries in ``_waiting`` do not count.
        self._begun: set[int] = set()
        seconds, known = durations(tasks, expected) if expected else ([], 0)
        if known and 2 * known >= len(tasks):
            self._seconds = seconds
            self._work = sum(seconds)
            if len(tasks) <= _PATHS_AT_MOST:
                self._paths = list(graph_of(list(tasks)).longest_paths(seconds))
                self._waiting = [(-path, number) for number, path in enumerate(self._paths)]
                heapify(self._waiting)

    def started(self, number: int, now: float) -> None:
        """Note that a task, or another attempt at it, runs from ``now``, in seconds since the run began."""
        self.running[number] = now
        if self._seconds:
            self._begun.add(number)

    def ended(self, number: int, *, again: bool = False) -> None:
        """Note that a task has ended or was skipped. ``again``: only an attempt has ended, and another one follows."""
        ran = self.running.pop(number, None) is not None
        if again:
            self._begun.discard(number)
            if self._paths:
                heappush(self._waiting, (-self._paths[number], number))
            return
        self._ended += 1
        self._ran += ran
        if self._seconds:
            self._begun.add(number)
            self._work -= self._seconds[number]

    def left(self, now: float) -> float | None:
        """Return the seconds that the rest will take, None if they cannot be estimated."""
        if self._ended >= self._total:
            return None
        if self._seconds:
            return self._by_durations(now)
        if self._ran < _ENDED_AT_LEAST or self._ended < _SHARE_AT_LEAST * self._total or now < _SECONDS_AT_LEAST:
            return None
        return now * (self._total - self._ended) / self._ran

    def _by_durations(self, now: float) -> float:
        """Return the longest path that is left, or the work that is left divided by the slots, whichever is more."""
        while self._waiting and self._waiting[0][1] in self._begun:
            heappop(self._waiting)
        longest = -self._waiting[0][0] if self._waiting else 0.0
        done = 0.0
        for number, began in self.running.items():
            passed = min(now - began, self._seconds[number])
            done += passed
            longest = max(longest, (self._paths or self._seconds)[number] - passed)
        return longest if self._slots is None else max(longest, (self._work - done) / self._slots)


def in_words(seconds: float | None) -> str:
    """Return a text such as ``about 2 min left``, empty if the time is not known or nearly over."""
    if seconds is None or seconds < 2:
        return ""
    if seconds < 57:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 5_400:
        return f"about {round(seconds / 60)} min left"
    return f"about {round(seconds / 3_600)} h left"

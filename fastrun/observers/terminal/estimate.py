"""How long what is left of a run will take: from durations that are known, or from the share that is done.

Knows names and seconds. Has no clock; says nothing where it would be a guess.
"""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from fastrun.document.task import Task
from fastrun.plan.graph import durations, graph_of

# Below these, what has been done says nothing about the rest.
_ENDED_AT_LEAST = 10
_SHARE_AT_LEAST = 0.05
_SECONDS_AT_LEAST = 3.0

# Most tasks for which paths are computed: for a hundred thousand that takes a second.
_PATHS_AT_MOST = 50_000


class Estimate:
    """Told of starts and ends, says how long the rest will take.

    ``running``: by task that runs, when it began; those that began first come first.
    """

    def __init__(
        self, tasks: Sequence[Task], expected: Mapping[str, float] | None = None, places: int | None = None
    ) -> None:
        """``expected``: seconds by name, of an earlier run; may be of other tasks too.

        ``places``: how many tasks may run at once, None if as many as are ready.
        """
        self._places = places
        self._total = len(tasks)
        self._ended = 0
        self._ran = 0
        self.running: dict[str, float] = {}
        # Seconds of each task and of the longest path that begins with it, by name. Empty unless at least half of the
        # durations are recorded.
        self._seconds: dict[str, float] = {}
        self._paths: dict[str, float] = {}
        # The work that is left, in seconds, and paths of tasks that have neither started nor ended, longest first.
        self._work = 0.0
        self._waiting: list[tuple[float, str]] = []
        # Those that are not to be looked at any more.
        self._begun: set[str] = set()
        seconds, known = durations(tasks, expected) if expected else ([], 0)
        if known and 2 * known >= len(tasks):
            names = [task.name for task in tasks]
            self._seconds = dict(zip(names, seconds, strict=True))
            self._work = sum(seconds)
            if len(tasks) <= _PATHS_AT_MOST:
                self._paths = dict(zip(names, graph_of(list(tasks)).longest_paths(seconds), strict=True))
                self._waiting = [(-path, name) for name, path in self._paths.items()]
                heapify(self._waiting)

    def started(self, name: str, now: float) -> None:
        """A task, or another attempt at it, runs from ``now``, seconds since the run began."""
        self.running[name] = now
        if self._seconds:
            self._begun.add(name)

    def ended(self, name: str, *, again: bool = False) -> None:
        """It has ended or was skipped, or, with ``again``, one attempt at it has."""
        ran = self.running.pop(name, None) is not None
        if again:
            self._begun.discard(name)
            if self._paths:
                heappush(self._waiting, (-self._paths[name], name))
            return
        self._ended += 1
        self._ran += ran
        if self._seconds:
            self._begun.add(name)
            self._work -= self._seconds[name]

    def left(self, now: float) -> float | None:
        """Seconds that the rest will take, None where that cannot be said."""
        if self._ended >= self._total:
            return None
        if self._seconds:
            return self._by_durations(now)
        if self._ran < _ENDED_AT_LEAST or self._ended < _SHARE_AT_LEAST * self._total or now < _SECONDS_AT_LEAST:
            return None
        return now * (self._total - self._ended) / self._ran

    def _by_durations(self, now: float) -> float:
        """The longest path that is left, or the work that is left for as many as may run at once, if that is more."""
        while self._waiting and self._waiting[0][1] in self._begun:
            heappop(self._waiting)
        longest = -self._waiting[0][0] if self._waiting else 0.0
        done = 0.0
        for name, began in self.running.items():
            passed = min(now - began, self._seconds[name])
            done += passed
            longest = max(longest, self._paths.get(name, self._seconds[name]) - passed)
        return longest if self._places is None else max(longest, (self._work - done) / self._places)


def in_words(seconds: float | None) -> str:
    """``about 2 min left``; empty for what is not known or nearly over."""
    if seconds is None or seconds < 2:
        return ""
    if seconds < 57:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 5_400:
        return f"about {round(seconds / 60)} min left"
    return f"about {round(seconds / 3_600)} h left"

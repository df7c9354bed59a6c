"""How long what is left of a run will take: from durations that are known, or from the share that is done.

Knows tasks by their numbers, and seconds. Has no clock; says nothing where it would be a guess.
"""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import chain

from fastrun.document.task import Task

# Below these, what has been done says nothing about the rest.
_ENDED_AT_LEAST = 10
_SHARE_AT_LEAST = 0.05
_SECONDS_AT_LEAST = 3.0

# Of more tasks the paths are not looked for: that takes a second for a hundred thousand.
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
        self.running: dict[int, float] = {}
        # Per task, empty unless they are known of at least half: seconds, and those of the longest path that begins
        # with the task.
        self._seconds: list[float] = []
        self._paths: list[float] = []
        # The work that is left, in seconds, and paths of tasks that have neither started nor ended, longest first.
        self._work = 0.0
        self._waiting: list[tuple[float, int]] = []
        # Those that are not to be looked at any more.
        self._begun: set[int] = set()
        known = [expected[task.name] for task in tasks if task.name in expected] if expected else []
        if expected and known and 2 * len(known) >= len(tasks):
            # The median: the module of that name takes 10 ms to import.
            usual = sorted(known)[len(known) // 2]
            self._seconds = [expected.get(task.name, usual) for task in tasks]
            self._work = sum(self._seconds)
            if len(tasks) <= _PATHS_AT_MOST:
                self._paths = _longest_paths(tasks, self._seconds)
                self._waiting = [(-seconds, number) for number, seconds in enumerate(self._paths)]
                heapify(self._waiting)

    def started(self, number: int, now: float) -> None:
        """A task, or another attempt at it, runs from ``now``, seconds since the run began."""
        self.running[number] = now
        if self._seconds:
            self._begun.add(number)

    def ended(self, number: int, *, again: bool = False) -> None:
        """It has ended or was skipped, or, with ``again``, one attempt at it has."""
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
        for number, began in self.running.items():
            passed = min(now - began, self._seconds[number])
            done += passed
            longest = max(longest, (self._paths or self._seconds)[number] - passed)
        return longest if self._places is None else max(longest, (self._work - done) / self._places)


def _longest_paths(tasks: Sequence[Task], seconds: Sequence[float]) -> list[float]:
    """Per task: the seconds of the longest path of tasks, each of which depends on the one before, from this one on."""
    paths = list(seconds)
    numbers = {task.name: number for number, task in enumerate(tasks)}
    dependents = [0] * len(tasks)
    for name in chain.from_iterable(task.dependencies for task in tasks):
        dependents[numbers[name]] += 1
    # Each behind all that depend on it.
    last = [number for number, count in enumerate(dependents) if not count]
    for number in last:
        for name in tasks[number].dependencies:
            dependency = numbers[name]
            paths[dependency] = max(paths[dependency], seconds[dependency] + paths[number])
            dependents[dependency] -= 1
            if not dependents[dependency]:
                last.append(dependency)
    return paths


def in_words(seconds: float | None) -> str:
    """``about 2 min left``; empty for what is not known or nearly over."""
    if seconds is None or seconds < 2:
        return ""
    if seconds < 57:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 5_400:
        return f"about {round(seconds / 60)} min left"
    return f"about {round(seconds / 3_600)} h left"

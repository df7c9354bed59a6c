"""When tasks were ready, ran and ended, and in which of the slots: for all who tell of it.

Knows tasks and the clock. Does not know what is made of it; who asks stands behind it in the list of observers, and
asks in a hook of its own.
"""

import time
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from fastrun.protocols import Observer, Outcome, Report, Start, Usage
from fastrun.spec import Task


class Span:
    """One attempt at a task, all times in seconds since the beginning of the run.

    ``ready``: when the last dependency had ended, for a further attempt when the one before had; ``began``, ``ended``:
    of the attempt itself, the latter None while it runs. ``slot``: its place among those that run at the same time, the
    lowest that was free, from 0, counted for ``exec`` and ``eval`` apart. ``outcome``: None while it runs.
    """

    __slots__ = ("began", "ended", "outcome", "ready", "slot", "start", "task")

    def __init__(self, task: Task, start: Start, ready: float, began: float, slot: int) -> None:
        self.task = task
        self.start = start
        self.ready = ready
        self.began = began
        self.ended: float | None = None
        self.slot = slot
        self.outcome: Outcome | None = None

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it runs."""
        return 0.0 if self.ended is None else self.ended - self.began

    @property
    def usage(self) -> Usage | None:
        """What the command used, where it is known."""
        return self.outcome.usage if self.outcome is not None else None


class Timeline(Observer):
    """Keeps the last attempt at each task.

    ``spans``: by name, for tasks that have started. ``started_at``: when the run began, seconds since the epoch.
    ``seconds``: how long the run has lasted, now or in all. ``most``: attempts at once, at the most, of each type.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        """``clock``: seconds that only grow. ``wall``: seconds since the epoch."""
        self._clock = clock
        self._wall = wall
        self._began = 0.0
        self._total: float | None = None
        self._free: dict[str, list[int]] = {}
        self.spans: dict[str, Span] = {}
        # By name, of tasks that have ended.
        self._ends: dict[str, float] = {}
        self.started_at = 0.0
        self.most: dict[str, int] = {}

    @property
    def detailed(self) -> bool:
        """Spans hold what is told of starts and ends."""
        return True

    @property
    def seconds(self) -> float:
        """How long the run has lasted, now or in all."""
        return self._clock() - self._began if self._total is None else self._total

    def run_started(self, tasks: Sequence[Task]) -> None:  # noqa: ARG002
        """Time counts from now."""
        self._began = self._clock()
        self.started_at = self._wall()

    def task_started(self, task: Task, start: Start) -> None:
        """An attempt begins."""
        now = self.seconds
        before = self.spans.get(task.name)
        if before is not None and before.ended is not None:
            ready = before.ended
        else:
            ready = max((self._ends[name] for name in task.dependencies if name in self._ends), default=0.0)
        self.spans[task.name] = Span(task, start, ready, now, self._take_slot(task.type))

    def task_ended(self, task: Task, outcome: Outcome) -> None:
        """It has ended, or was skipped."""
        now = self.seconds
        span = self.spans.get(task.name)
        if span is not None and span.ended is None:
            span.ended = now
            span.outcome = outcome
            heappush(self._free[task.type], span.slot)
        if outcome.again is None:
            self._ends[task.name] = now

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Time stands still."""
        self._total = self.seconds

    def _take_slot(self, type_: str) -> int:
        free = self._free.setdefault(type_, [])
        if free:
            return heappop(free)
        slot = self.most.get(type_, 0)
        self.most[type_] = slot + 1
        return slot

    def critical_path(self) -> list[Span]:
        """The chain of tasks that determined how long the run took, the first one first.

        From the task that ended last, back each time to the dependency that ended last.
        """
        last = max((s for s in self.spans.values() if s.ended is not None), key=lambda s: s.ended or 0.0, default=None)
        path: list[Span] = []
        while last is not None:
            path.append(last)
            before = [self.spans[name] for name in last.task.dependencies if name in self.spans]
            last = max((s for s in before if s.ended is not None), key=lambda s: s.ended or 0.0, default=None)
        path.reverse()
        return path

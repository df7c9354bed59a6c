"""When tasks were ready, ran and ended, and in which of the slots: for all who tell of it.

Knows tasks and the clock. Does not know what is made of it. Who asks in a hook of its own stands behind it in the list
of observers; who follows it is told once per turn of the loop instead, which costs less than hooks do.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import heappop, heappush
from itertools import repeat
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from typing import NamedTuple

from fastrun.document.task import Task
from fastrun.outcome import FIRST_START, OK, Outcome, Report, Start, Usage
from fastrun.protocols import Observer

# A text in quotes, in ASCII alone: so a lone surrogate, which a name may hold, is no harm. orjson would refuse it, and
# for one short text takes no less time.
quoted = encode_basestring_ascii

# Where attempts run: of which type, and on which worker of a cluster, None for this machine.
Place = tuple[str, str | None]


class Span:
    """One attempt at a task, all times in seconds since the beginning of the run.

    ``ready``: when the last dependency had ended, for a further attempt when the one before had; ``began``, ``ended``:
    of the attempt itself, the latter None while it runs; ``first_began``: of the first attempt. ``slot``: its place
    among those that run at the same time, the lowest that was free, from 0, counted for each ``place`` apart.
    ``outcome``: None while it runs.
    """

    __slots__ = ("began", "ended", "first_began", "number", "outcome", "ready", "slot", "start", "task")

    def __init__(self, number: int, task: Task, start: Start, ready: float, began: float, slot: int) -> None:
        self.number = number
        self.task = task
        self.start = start
        self.ready = ready
        self.began = self.first_began = began
        self.ended: float | None = None
        self.slot = slot
        self.outcome: Outcome | None = None

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it runs."""
        return 0.0 if self.ended is None else self.ended - self.began

    @property
    def all_seconds(self) -> float:
        """How long it took with all attempts before, and the pauses between them; 0 while it runs."""
        return 0.0 if self.ended is None else self.ended - self.first_began

    @property
    def place(self) -> Place:
        """Where it ran."""
        return self.task.type, self.start.worker

    @property
    def held_by(self) -> str:
        """What it waited for once it was ready, if it did: as in ``Start``, ``"retry"`` for a further attempt."""
        return "retry" if self.start.attempt > 1 else self.start.held_by

    @property
    def usage(self) -> Usage | None:
        """What the command used, where it is known."""
        return self.outcome.usage if self.outcome is not None else None


class Together(NamedTuple):
    """Small snippets that ran one after the other within one turn of the loop, and all are ok.

    ``at``: when they began and ended, as far as that is known. ``numbers``, ``tasks``: in their order. ``ready``: since
    when each. ``slot``: that of them all. Times and slots are those of a ``Span``. ``names``: of the tasks, in quotes,
    as JSON.
    """

    at: float
    numbers: list[int]
    tasks: list[Task]
    ready: list[float]
    slot: int
    names: list[str]

    def span(self, place: int) -> Span:
        """Of one of them."""
        span = Span(self.numbers[place], self.tasks[place], FIRST_START, self.ready[place], self.at, self.slot)
        span.ended = self.at
        span.outcome = OK
        return span


# What happened to a task: when, the task, its outcome (None for a start), the attempt (None where it did not run).
Moment = tuple[float, Task, Outcome | None, Span | None]

# Two entries for each snippet of many would take four times as long as one for all.
Follower = Callable[[Sequence[Moment | Together]], None]

# How a snippet of those is noted.
_WELL = [FIRST_START, OK]


class Timeline(Observer):
    """Keeps the last attempt at each task.

    ``spans``: by number, for tasks that have started. ``started_at``: when the run began, seconds since the epoch.
    ``seconds``: how long the run has lasted, now or in all. ``busy``: the sum of the seconds of all attempts that have
    ended. ``most``: attempts at once, at the most, of each type. ``slots``: how many slots were needed, by place.

    What happens is noted by the hooks, and gone through at the end of each turn of the loop, or when somebody asks:
    much comes together by then. The clock is read once a turn, but for commands always: a turn starts up to 16 of
    them, which takes some milliseconds, whereas news of snippets have come when it begins.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        """``clock``: seconds that only grow. ``wall``: seconds since the epoch."""
        self._clock = clock
        self._wall = wall
        self._began = 0.0
        self._total: float | None = None
        self._followers: list[Follower] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # What has come since it was last gone through: to which task, what, and from which place on it was what time.
        self._numbers: list[int] = []
        self._whats: list[Start | Outcome] = []
        self._times: list[tuple[int, float]] = [(0, 0.0)]
        self._note_number = self._numbers.append
        self._note_what = self._whats.append
        self._tasks: Sequence[Task] = ()
        # The time, and whether that is of another turn.
        self._now = 0.0
        self._old = True
        self._free: defaultdict[Place, list[int]] = defaultdict(list)
        self._slots: dict[Place, int] = {}
        self._running: dict[str, int] = {}
        self._spans: dict[int, Span] = {}
        # Of whose tasks nobody has asked for the spans yet.
        self._together: list[Together] = []
        # When tasks ended, by name, where some wait for others.
        self._ended: dict[str, float] = {}
        self._connected = True
        self._most: dict[str, int] = {}
        self._busy = 0.0
        self.started_at = 0.0

    @property
    def detailed(self) -> bool:
        """Spans hold what is told of starts and ends."""
        return True

    @property
    def seconds(self) -> float:
        """How long the run has lasted, now or in all."""
        return self._clock() - self._began if self._total is None else self._total

    @property
    def spans(self) -> dict[int, Span]:
        """The last attempt at each task that has started, by number."""
        self._settle()
        together, self._together = self._together, []
        for moment in together:
            for place, number in enumerate(moment.numbers):
                self._spans[number] = moment.span(place)
        return self._spans

    @property
    def busy(self) -> float:
        """The sum of the seconds of all attempts that have ended."""
        self._settle()
        return self._busy

    @property
    def most(self) -> dict[str, int]:
        """How many attempts ran at once, at the most, of each type."""
        self._settle()
        return self._most

    @property
    def slots(self) -> dict[Place, int]:
        """How many slots each place has had."""
        self._settle()
        return self._slots

    def follow(self, follower: Follower) -> None:
        """Have all that happens told once a turn, and the rest before the ``run_ended`` of who stands behind this."""
        self._followers.append(follower)

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Time counts from now."""
        self._tasks = tasks
        self._connected = any(task.dependencies for task in tasks) or any(task.retries for task in tasks)
        self._began = self._clock()
        self.started_at = self._wall()
        with suppress(RuntimeError):
            # None where somebody else than a run tells what happens.
            self._loop = asyncio.get_running_loop()

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """An attempt begins."""
        if self._old or start is not FIRST_START:
            self._look()
        self._note_number(number)
        self._note_what(start)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        """It has ended, or was skipped."""
        if self._old or task.type == "exec":
            self._look()
        self._note_number(number)
        self._note_what(outcome)

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Time stands still."""
        self._total = self.seconds
        self._settle()

    def _look(self) -> None:
        """Look at the clock."""
        self._now = self._clock() - self._began
        self._times.append((len(self._whats), self._now))
        if self._old and self._loop is not None:
            self._old = False
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._old = True
        self._settle()

    def _settle(self) -> None:
        """Go through what was noted, and tell it."""
        if not self._whats:
            return
        numbers, whats, times = self._numbers[:], self._whats[:], self._times
        self._numbers.clear()
        self._whats.clear()
        self._times = [(0, self._now)]
        # An end of what began in another turn, pairs of starts and ends, a start of what ends in another: as small
        # snippets come.
        first = int(not isinstance(whats[0], Start))
        count = (len(whats) - first) // 2
        end = first + 2 * count
        pairs = numbers[first:end:2]
        moments: list[Moment | Together] = []
        if (
            count > 1
            and whats[first:end] == _WELL * count
            and pairs == numbers[first + 1 : end : 2]
            and times[-1][0] <= first
        ):
            # No command: those have a process, or a worker, to be told.
            at = self._now
            self._note(moments, times, numbers[:first], whats[:first])
            moments.append(self._note_together(at, pairs))
            self._note(moments, [(0, at)], numbers[end:], whats[end:])
        else:
            self._note(moments, times, numbers, whats)
        for follower in self._followers:
            follower(moments)

    def _note(
        self,
        moments: list[Moment | Together],
        times: Sequence[tuple[int, float]],
        numbers: Sequence[int],
        whats: Sequence[Start | Outcome],
    ) -> None:
        """Note what happened to one task after the other, and add it to ``moments``. ``times``: from which place on."""
        spans = self._spans
        at = 0.0
        changes = [*times[::-1]]
        for place, (number, what) in enumerate(zip(numbers, whats, strict=True)):
            task = self._tasks[number]
            while changes and changes[-1][0] <= place:
                at = changes.pop()[1]
            if isinstance(what, Start):
                ready = self._ready(task, what.attempt)
                began = max(ready, at - what.ago)
                span = Span(number, task, what, ready, began, self._take_slot((task.type, what.worker)))
                if what.attempt > 1 and number in spans:
                    span.first_began = spans[number].first_began
                spans[number] = span
                moments.append((at, task, None, span))
                continue
            ran = spans.get(number)
            if ran is not None and ran.ended is None:
                ran.ended = max(ran.began, at - what.ago)
                ran.outcome = what
                self._busy += ran.seconds
                self._give_back(ran.place, ran.slot)
            else:
                ran = None
            if self._connected:
                self._ended[task.name] = at if ran is None or ran.ended is None else ran.ended
            moments.append((at, task, what, ran))

    def _note_together(self, at: float, numbers: list[int]) -> Together:
        """Note snippets that began and ended one after the other."""
        place: Place = ("eval", None)
        slot = self._take_slot(place)
        self._give_back(place, slot)
        tasks = [self._tasks[number] for number in numbers]
        ready = [0.0] * len(tasks)
        if self._connected:
            # In the order in which they ran, as one may wait for another.
            for position, task in enumerate(tasks):
                ready[position] = self._ready(task, 1)
                self._ended[task.name] = at
        names = [quoted(task.name) for task in tasks] if self._followers else []
        together = Together(at, numbers, tasks, ready, slot, names)
        self._together.append(together)
        return together

    def _ready(self, task: Task, attempt: int) -> float:
        """When an attempt could have begun."""
        names = task.dependencies if attempt == 1 else [task.name]
        return max(map(self._ended.get, names, repeat(0.0)), default=0.0) if names else 0.0

    def _take_slot(self, place: Place) -> int:
        type_ = place[0]
        running = self._running[type_] = self._running.get(type_, 0) + 1
        if running > self._most.get(type_, 0):
            self._most[type_] = running
        free = self._free[place]
        if free:
            return heappop(free)
        slot = self._slots.get(place, 0)
        self._slots[place] = slot + 1
        return slot

    def _give_back(self, place: Place, slot: int) -> None:
        self._running[place[0]] -= 1
        heappush(self._free[place], slot)

    def critical_path(self) -> list[Span]:
        """The chain of tasks, each needed by the next, that took longest: no number of slots makes it shorter.

        With all attempts at each. Of chains that took equally long, the one that ended last.
        """
        # By name: how long the longest chain to its end took, and its last span; and what is before a span there.
        longest: dict[str, tuple[float, Span]] = {}
        before: dict[int, Span] = {}
        last: Span | None = None
        most = 0.0
        # In the order of their ends, as none ends before what it needed; the stable one, for snippets of one turn.
        for span in sorted((s for s in self.spans.values() if s.ended is not None), key=lambda s: s.ended or 0.0):
            seconds = span.all_seconds
            needed = [longest[name] for name in span.task.dependencies if name in longest]
            if needed:
                needed_seconds, before[span.number] = max(needed, key=itemgetter(0))
                seconds += needed_seconds
            longest[span.task.name] = seconds, span
            if seconds >= most:
                last, most = span, seconds
        path: list[Span] = []
        while last is not None:
            path.append(last)
            last = before.get(last.number)
        path.reverse()
        return path

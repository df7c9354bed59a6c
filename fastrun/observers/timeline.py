"""The timeline of a run: when each attempt was ready, began and ended, and in which slot.

Knows tasks and the clock. Does not know what its users do with the times. An observer that asks the timeline within its
own hooks comes after it in the list of observers. A follower is called once per turn of the loop instead, which costs
less than hooks.
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

# Returns a text as JSON in pure ASCII, so that a lone surrogate, which a name may contain, does no harm. orjson would
# refuse it, and is no faster for one short text.
quoted = encode_basestring_ascii

# Where an attempt runs: the type of its task and the worker of a cluster, None for this machine.
Site = tuple[str, str | None]


class Span:
    """One attempt at a task. All times are seconds since the beginning of the run.

    ``ready``: when the last dependency ended; for a later attempt, when the attempt before it ended. ``began``,
    ``ended``: of the attempt itself; ``ended`` is None while it runs. ``first_began``: when the first attempt began.
    ``slot``: the lowest number, from 0, that no other running attempt of the same ``site`` had.
    ``outcome``: None while the attempt runs.
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
        """How long the attempt took; 0 while it runs."""
        return 0.0 if self.ended is None else self.ended - self.began

    @property
    def all_seconds(self) -> float:
        """How long the task took with its earlier attempts and the pauses between them; 0 while it runs."""
        return 0.0 if self.ended is None else self.ended - self.first_began

    @property
    def site(self) -> Site:
        """Where the attempt ran."""
        return self.task.type, self.start.worker

    @property
    def held_by(self) -> str:
        """What the attempt waited for once it was ready: as in ``Start``, but ``"retry"`` for a later attempt."""
        return "retry" if self.start.attempt > 1 else self.start.held_by

    @property
    def usage(self) -> Usage | None:
        """What the command used, where it is known."""
        return self.outcome.usage if self.outcome is not None else None


class Together(NamedTuple):
    """Small snippets that ran one after the other within one turn of the loop and are all ok.

    ``at``: when they began and ended; the clock is read once for all. ``numbers``, ``tasks``: in the order in which
    they ran. ``ready``: when each task was ready. ``slot``: the slot of them all. Times and slots mean the same as in
    ``Span``. ``names``: the tasks' names as JSON, with quotes.
    """

    at: float
    numbers: list[int]
    tasks: list[Task]
    ready: list[float]
    slot: int
    names: list[str]

    def span(self, position: int) -> Span:
        """Return the span of the snippet at ``position``."""
        span = Span(self.numbers[position], self.tasks[position], FIRST_START, self.ready[position], self.at, self.slot)
        span.ended = self.at
        span.outcome = OK
        return span


# One event: its time, the task, the outcome (None for a start), the attempt (None if the task did not run).
Moment = tuple[float, Task, Outcome | None, Span | None]

# Takes the events of one turn. One ``Together`` for many snippets takes a quarter of the time of two moments for each.
Follower = Callable[[Sequence[Moment | Together]], None]

# What is noted of a snippet that may be part of a ``Together``.
_START_AND_OK = [FIRST_START, OK]


class Timeline(Observer):
    """Keeps the last attempt at each task.

    ``spans``: by number, for tasks that have started. ``started_at``: when the run began, seconds since the epoch.
    ``seconds``: how long the run has lasted so far, or lasted in all. ``busy``: the sum of the seconds of all ended
    attempts. ``most``: by type, the most attempts that ran at once. ``slots``: by site, how many slots were used.

    The hooks only note what happens. The notes are applied at the end of each turn of the loop, many at once, or
    earlier if a property is read. For snippets in threads the clock is read once a turn, because their news has arrived
    when the turn begins. For processes it is read each time, because a turn starts up to 16 of them, which takes
    milliseconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        """``clock``: seconds that only grow. ``wall``: seconds since the epoch."""
        self._clock = clock
        self._wall = wall
        self._began = 0.0
        self._total: float | None = None
        self._followers: list[Follower] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # The notes that are not applied yet: of each the task's number, and the start or outcome. ``_times`` holds
        # pairs: the position of a note, and the time of the notes from there on.
        self._numbers: list[int] = []
        self._whats: list[Start | Outcome] = []
        self._times: list[tuple[int, float]] = [(0, 0.0)]
        self._note_number = self._numbers.append
        self._note_what = self._whats.append
        self._tasks: Sequence[Task] = ()
        # The time last read, and whether an earlier turn read it.
        self._now = 0.0
        self._stale = True
        self._free: defaultdict[Site, list[int]] = defaultdict(list)
        # By slot, when it became free: what comes next there has not begun before, though news may come late.
        self._freed: dict[tuple[Site, int], float] = {}
        self._slots: dict[Site, int] = {}
        self._running: dict[str, int] = {}
        self._spans: dict[int, Span] = {}
        # Those whose spans have not been made, because nothing has asked for them yet.
        self._together: list[Together] = []
        # By name, when tasks ended. Empty if no task has a dependency or a retry.
        self._ended: dict[str, float] = {}
        self._connected = True
        self._most: dict[str, int] = {}
        self._busy = 0.0
        self.started_at = 0.0

    @property
    def detailed(self) -> bool:
        """True: spans keep the details of starts and ends."""
        return True

    @property
    def seconds(self) -> float:
        """How long the run has lasted so far, or lasted in all."""
        return self._clock() - self._began if self._total is None else self._total

    @property
    def spans(self) -> dict[int, Span]:
        """The last attempt at each task that has started, by number."""
        self._apply_notes()
        together, self._together = self._together, []
        for moment in together:
            for position, number in enumerate(moment.numbers):
                self._spans[number] = moment.span(position)
        return self._spans

    @property
    def busy(self) -> float:
        """The sum of the seconds of all attempts that have ended."""
        self._apply_notes()
        return self._busy

    @property
    def most(self) -> dict[str, int]:
        """By type, the most attempts that ran at once."""
        self._apply_notes()
        return self._most

    @property
    def slots(self) -> dict[Site, int]:
        """By site, how many slots were used."""
        self._apply_notes()
        return self._slots

    def follow(self, follower: Follower) -> None:
        """Call ``follower`` with all events once a turn, with the last ones before ``run_ended`` of later observers."""
        self._followers.append(follower)

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Start the clock."""
        self._tasks = tasks
        self._connected = any(task.dependencies for task in tasks) or any(task.retries for task in tasks)
        self._began = self._clock()
        self.started_at = self._wall()
        with suppress(RuntimeError):
            # There is no loop where something other than a run calls the hooks, such as a test.
            self._loop = asyncio.get_running_loop()

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """Note that an attempt has begun."""
        if self._stale or start is not FIRST_START:
            self._read_clock()
        self._note_number(number)
        self._note_what(start)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        """Note that an attempt has ended, or that the task was skipped."""
        if self._stale or task.type == "exec" or outcome is not OK:
            self._read_clock()
        self._note_number(number)
        self._note_what(outcome)

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Stop the clock."""
        self._total = self.seconds
        self._apply_notes()

    def _read_clock(self) -> None:
        """Read the clock."""
        self._now = self._clock() - self._began
        self._times.append((len(self._whats), self._now))
        if self._stale and self._loop is not None:
            self._stale = False
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._stale = True
        self._apply_notes()

    def _apply_notes(self) -> None:
        """Apply the notes, and tell the followers."""
        if not self._whats:
            return
        numbers, whats, times = self._numbers[:], self._whats[:], self._times
        self._numbers.clear()
        self._whats.clear()
        self._times = [(0, self._now)]
        # The notes of small snippets: perhaps the end of one that began in an earlier turn, then pairs of start and
        # end, then perhaps the start of one that ends in a later turn.
        first = int(not isinstance(whats[0], Start))
        count = (len(whats) - first) // 2
        end = first + 2 * count
        pairs = numbers[first:end:2]
        moments: list[Moment | Together] = []
        if (
            count > 1
            and whats[first:end] == _START_AND_OK * count
            and pairs == numbers[first + 1 : end : 2]
            and times[-1][0] <= first
        ):
            # None of these is a process: its start has a process id or a worker.
            at = self._now
            self._apply_each(moments, times, numbers[:first], whats[:first])
            moments.append(self._apply_together(at, pairs))
            self._apply_each(moments, [(0, at)], numbers[end:], whats[end:])
        else:
            self._apply_each(moments, times, numbers, whats)
        for follower in self._followers:
            follower(moments)

    def _apply_each(
        self,
        moments: list[Moment | Together],
        times: Sequence[tuple[int, float]],
        numbers: Sequence[int],
        whats: Sequence[Start | Outcome],
    ) -> None:
        """Apply notes one by one, and append their events to ``moments``. ``times``: positions with times."""
        spans = self._spans
        at = 0.0
        changes = [*times[::-1]]
        for position, (number, what) in enumerate(zip(numbers, whats, strict=True)):
            task = self._tasks[number]
            while changes and changes[-1][0] <= position:
                at = changes.pop()[1]
            if isinstance(what, Start):
                ready = self._ready(task, what.attempt)
                site = task.type, what.worker
                slot = self._occupy_slot(site)
                began = max(ready, at - what.ago, self._freed.get((site, slot), 0.0) if what.ago else 0.0)
                span = Span(number, task, what, ready, began, slot)
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
                self._free_slot(ran.site, ran.slot)
                self._freed[ran.site, ran.slot] = ran.ended
            else:
                ran = None
            if self._connected:
                self._ended[task.name] = at if ran is None or ran.ended is None else ran.ended
            moments.append((at, task, what, ran))

    def _apply_together(self, at: float, numbers: list[int]) -> Together:
        """Apply the notes of snippets that began and ended one after the other."""
        site: Site = ("eval", None)
        slot = self._occupy_slot(site)
        self._free_slot(site, slot)
        self._freed[site, slot] = at
        tasks = [self._tasks[number] for number in numbers]
        ready = [0.0] * len(tasks)
        if self._connected:
            # In the order in which they ran, because one may depend on another.
            for position, task in enumerate(tasks):
                ready[position] = self._ready(task, 1)
                self._ended[task.name] = at
        names = [quoted(task.name) for task in tasks] if self._followers else []
        together = Together(at, numbers, tasks, ready, slot, names)
        self._together.append(together)
        return together

    def _ready(self, task: Task, attempt: int) -> float:
        """Return when an attempt could have begun."""
        names = task.dependencies if attempt == 1 else [task.name]
        return max(map(self._ended.get, names, repeat(0.0)), default=0.0) if names else 0.0

    def _occupy_slot(self, site: Site) -> int:
        type_ = site[0]
        running = self._running[type_] = self._running.get(type_, 0) + 1
        if running > self._most.get(type_, 0):
            self._most[type_] = running
        free = self._free[site]
        if free:
            return heappop(free)
        slot = self._slots.get(site, 0)
        self._slots[site] = slot + 1
        return slot

    def _free_slot(self, site: Site, slot: int) -> None:
        self._running[site[0]] -= 1
        heappush(self._free[site], slot)

    def critical_path(self) -> list[Span]:
        """Return the chain of tasks, each a dependency of the next, that took longest: more slots cannot shorten it.

        All attempts at a task count. Of chains that took equally long, the one that ended last is returned.
        """
        # By name: the seconds of the longest chain that ends with the task, and the task's span. By number: the span
        # before a task in that chain.
        longest: dict[str, tuple[float, Span]] = {}
        before: dict[int, Span] = {}
        last: Span | None = None
        most = 0.0
        # In the order of their ends: no task ends before its dependencies. The sort is stable, because snippets of one
        # turn end at the same time.
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

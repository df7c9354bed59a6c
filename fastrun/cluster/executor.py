"""The executor of a cluster: runs tasks on its workers.

The cluster's scheduler decides on which workers seats are. This module decides which task goes to which seat, so the
cluster never sees a task.

Small tasks go to a seat in bundles, as many as should run in ``_BUNDLE_SECONDS``, judged by earlier tasks. A worker
returns tasks that wait behind a long one. If a worker is lost, tasks that had started there run again elsewhere, up to
a limit. Tasks that had not started are simply returned.

Knows seats and messages. Does not know how seats are granted.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence

from fastrun.cluster.seats import (
    ENDED,
    STARTED,
    AcknowledgeFailure,
    Cluster,
    Interrupt,
    News,
    Recall,
    Release,
    Resources,
    RunTasks,
    Worker,
    pack,
)
from fastrun.outcome import Cause, Outcome, Start, Status
from fastrun.protocols import Chain, Events
from fastrun.settings import DEFAULTS, RunSettings

# Seconds of work that one message takes to a seat. A message costs some milliseconds.
_BUNDLE_SECONDS = 0.1
_LARGEST_BUNDLE = 256

# Fewest seconds of delay that an outcome without other details reports. News wait up to 20 ms for further news.
_LATE = 0.001

# Mean seconds of tasks below which the next task is sent ahead. For longer tasks the time of a message is nothing.
_AHEAD = 0.5

# Fewest seconds after which a worker returns the tasks behind a long one; more if twice the mean task takes longer.
_PATIENCE_THERE = 0.025

# Tasks that are accepted beyond those for the seats. So many further seats are requested, which makes a cluster grow.
_WAITING = 16

# Seconds after which a seat without work is released. Seconds between checks.
_IDLE_SECONDS = 1.0
_CHECK_SECONDS = 0.25

# Seconds after which the user is warned that no worker takes a task.
_PATIENCE = 10.0

# Seconds that workers have to kill their tasks before they are given up.
_LAST_WORDS = 5.0


class _Seat:
    """An open seat.

    ``given``: the tasks at the seat that have not ended, in the order in which they run: by number, the chain that
    begins with the task. ``running``: the task that is known to have started. ``blocked``: whether it takes long.
    ``idle_since``: when the seat was last without work.
    """

    __slots__ = ("blocked", "given", "idle_since", "number", "running", "worker")

    def __init__(self, number: int, worker: Worker, now: float) -> None:
        self.number = number
        self.worker = worker
        self.given: dict[int, Chain] = {}
        self.running: int | None = None
        self.blocked = False
        self.idle_since = now


class ClusterExecutor:
    """Runs the tasks that need the same resources."""

    longest_chain = 64

    def __init__(self, cluster: Cluster, settings: RunSettings = DEFAULTS, resources: Resources = ()) -> None:
        self._cluster = cluster
        self._resources = resources
        self._worker_retries = settings.worker_retries
        self._directory = os.getcwd()
        self._waiting: deque[Chain] = deque()
        self._requested: set[int] = set()
        self._seats: dict[int, _Seat] = {}
        # By task, the seat that it was given to.
        self._seat_of: dict[int, _Seat] = {}
        # Seats that could take more tasks.
        self._hungry: dict[int, _Seat] = {}
        self._bundle = 1
        self._mean: float | None = None
        # By task, how many of its workers were lost, and the last of them.
        self._losses: dict[int, tuple[int, str]] = {}
        # By task that may be tried again, its last worker: processes that the task left are there.
        self._last: dict[int, str] = {}
        self._interrupted = False
        self._lost: str | None = None
        self._warned = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_words: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """How many tasks may be in hand: enough to keep all seats busy, and a few for which seats are requested."""
        return len(self._seats) * 2 * self._bundle + _WAITING

    def open(self, events: Events) -> None:
        """Start using the cluster. Seats are requested once there is work."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._cluster.open(events)
        self._waiting_since = self._loop.time()
        self._timer = self._loop.call_later(_CHECK_SECONDS, self._check_seats)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Give chains to free seats, and request seats for the others."""
        if not self._waiting:
            self._waiting_since = self._loop.time()
        self._waiting.extend(chains)
        if self._interrupted or self._lost is not None:
            self._return_waiting()
            return
        for seat in list(self._hungry.values()):
            if not self._waiting:
                break
            self._fill(seat)
        self.request_seats()

    def recall(self) -> None:
        """Return the tasks without a seat, and have workers return all tasks that have not started."""
        self._return_waiting()
        for worker in {seat.worker.address for seat in self._seats.values() if seat.given}:
            self._cluster.send(worker, Recall())

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Have workers end one task or all. With None, also return tasks without a seat."""
        if number is not None:
            seat = self._seat_of.get(number)
            worker = self._last.get(number) if seat is None else seat.worker.address
            if worker is not None:
                self._cluster.send(worker, Interrupt(number, force))
            return
        self._interrupted = True
        self._return_waiting()
        self._cluster.send(None, Interrupt(None, force))
        if force and self._last_words is None:
            self._last_words = self._loop.call_later(_LAST_WORDS, self._give_up)

    def suspend(self, *, resume: bool) -> None:
        """Do nothing: workers continue, and keep their news."""

    async def close(self) -> None:
        """Close the cluster, which releases the seats."""
        for timer in (self._timer, self._last_words):
            if timer is not None:
                timer.cancel()
        self._timer = self._last_words = None
        await self._cluster.close()

    # Called by the cluster

    def seat_opened(self, seat: int, worker: Worker) -> None:
        """Give tasks to a new seat."""
        self._requested.discard(seat)
        made = self._seats[seat] = _Seat(seat, worker, self._loop.time())
        self._fill(made)
        # More tasks may be in hand now.
        self._events.slots_changed()

    def seat_closed(self, seat: int, *, again: bool) -> None:
        """Run tasks that had started there again elsewhere, up to the limit, and return the others."""
        self._requested.discard(seat)
        if again:
            self._requested.add(seat)
        found = self._seats.pop(seat, None)
        if found is None:
            return
        self._hungry.pop(seat, None)
        for position, number in enumerate(found.given):
            del self._seat_of[number]
            self._lose(found, number, next_one=not position)
        self._events.slots_changed()

    def news(self, news: News, ago: float = 0.0) -> None:
        """Pass on news of a task. Ignore them if the seat no longer has the task."""
        what, number = news[0], news[2]
        if what == ENDED and news[3].status is Status.FAILED and news[1] in self._seats:
            # The order of commands tells the worker which of them were sent before the client heard of the failure.
            self._cluster.send(self._seats[news[1]].worker.address, AcknowledgeFailure())
        seat = self._seat_of.get(number)
        if seat is None or seat.number != news[1]:
            return
        if what == STARTED:
            seat.running = number
            self._events.task_started(number, Start(worker=seat.worker.label, ago=ago))
        elif what == ENDED:
            self._ended(seat, number, ago, *news[3:])
        else:
            del self._seat_of[number], seat.given[number]
            # By a task that takes long. Nothing is left where the rest of a chain was recalled.
            seat.blocked = bool(seat.given)
            self._events.task_ended(number, None)

    def lost(self, why: str) -> None:
        """Let all tasks in hand fail, and all later ones."""
        self._lost = why
        for seat in list(self._seats.values()):
            self.seat_closed(seat.number, again=False)
        self._requested.clear()
        self._return_waiting()

    def request_seats(self) -> None:
        """Request seats for tasks that wait."""
        if self._lost is None and not self._interrupted:
            while len(self._requested) < len(self._waiting):
                seat = self._cluster.request(self, self._resources)
                if seat is None:
                    break
                self._requested.add(seat)

    # Own

    def _fill(self, seat: _Seat) -> None:
        """Give a seat a bundle once half of its last bundle has ended."""
        depth = self._bundle
        if self._mean is not None and self._mean < _AHEAD:
            # The next task is there when the one before it ends, so the seat never waits for a message.
            depth = max(2, depth)
        room = depth - len(seat.given)
        if seat.blocked or (seat.given and 2 * room < depth):
            return
        # No more than the seat's share, so that all seats end at the same time.
        room = min(room, -(-len(self._waiting) // len(self._seats)))
        chains = [self._waiting.popleft() for _ in range(room)]
        if not chains:
            if not seat.given and seat.number not in self._hungry:
                seat.idle_since = self._loop.time()
            self._hungry[seat.number] = seat
            return
        self._hungry.pop(seat.number, None)
        for chain in chains:
            seat.given[chain[0][0]] = chain
            self._seat_of[chain[0][0]] = seat
        packed = [[pack(job, self._directory) for job in chain] for chain in chains]
        patience = max(_PATIENCE_THERE, 2 * (self._mean or 0.0))
        self._cluster.send(seat.worker.address, RunTasks(seat.number, packed, patience))
        self._waiting_since = self._loop.time()

    def _ended(
        self,
        seat: _Seat,
        number: int,
        ago: float,
        outcome: Outcome,
        seconds: float,
    ) -> None:
        chain = seat.given.pop(number)
        del self._seat_of[number]
        seat.running, seat.blocked = None, False
        self._learn(seconds)
        if ago > _LATE:
            outcome = outcome._replace(ago=ago)
        if outcome.status is Status.OK:
            if len(chain) > 1:
                # The next task of the chain runs next at the seat.
                seat.given = {chain[1][0]: chain[1:], **seat.given}
                self._seat_of[chain[1][0]] = seat
        elif outcome.cause is Cause.CANNOT_START:
            outcome = outcome._replace(detail=f"{outcome.detail} on {seat.worker.label}")
        elif chain[0][1].retries:
            self._last[number] = seat.worker.address
        self._events.task_ended(number, self._with_loss(number, outcome))
        self._fill(seat)

    def _learn(self, seconds: float) -> None:
        """Adapt the size of bundles: it at most doubles each time, and shrinks at once."""
        self._mean = seconds if self._mean is None else 0.8 * self._mean + 0.2 * seconds
        wanted = int(_BUNDLE_SECONDS / max(self._mean, 1e-6))
        self._bundle = max(1, min(wanted, self._bundle * 2, _LARGEST_BUNDLE))

    def _lose(self, seat: _Seat, number: int, *, next_one: bool) -> None:
        """Take a task back from a closed seat. ``next_one``: whether it was the next to start there."""
        if self._lost is not None or self._interrupted:
            self._end_lost(seat, number)
            return
        if not (number == seat.running or next_one or not self._worker_retries):
            self._events.task_ended(number, None)
            return
        # Counts as started even without the news, which may have been lost with the worker: a task that kills every
        # worker must not run for ever.
        if number != seat.running:
            self._events.task_started(number, Start(worker=seat.worker.label))
        times = self._losses[number][0] + 1 if number in self._losses else 1
        self._losses[number] = times, seat.worker.label
        lost = times <= self._worker_retries
        outcome = Outcome(Status.FAILED, Cause.WORKER_LOST, seat.worker.label, lost=lost)
        self._events.task_ended(number, outcome)

    def _end_lost(self, seat: _Seat, number: int) -> None:
        if self._lost is not None:
            self._events.task_ended(number, Outcome(Status.FAILED, Cause.CLUSTER_LOST, self._lost))
        else:
            self._events.task_ended(number, Outcome(Status.INTERRUPTED) if number == seat.running else None)

    def _with_loss(self, number: int, outcome: Outcome) -> Outcome:
        """Return the outcome. If the task ran again, it names the worker that was lost."""
        if number not in self._losses:
            return outcome
        return outcome._replace(lost_worker=self._losses.pop(number)[1])

    def _return_waiting(self) -> None:
        outcome = None
        if self._lost is not None and not self._interrupted:
            outcome = Outcome(Status.FAILED, Cause.CLUSTER_LOST, self._lost)
        while self._waiting:
            self._events.task_ended(self._waiting.popleft()[0][0], outcome)

    def _check_seats(self) -> None:
        """Request seats, release idle ones, and warn if no worker takes a task. Repeats itself."""
        now = self._loop.time()
        self._timer = self._loop.call_later(_CHECK_SECONDS, self._check_seats)
        self.request_seats()
        for seat in list(self._hungry.values()):
            if not seat.given and now - seat.idle_since > _IDLE_SECONDS:
                del self._seats[seat.number], self._hungry[seat.number]
                self._cluster.send(seat.worker.address, Release(seat.number))
        if self._waiting and not self._seats and not self._warned and now - self._waiting_since > _PATIENCE:
            self._warned = True
            needed = "".join(f" with {name}={amount:g}" for name, amount in self._resources)
            self._events.warning(f"no worker{needed} has taken a task for {_PATIENCE:.0f} s; waiting")

    def _give_up(self) -> None:
        """Close all seats of workers that have not ended their tasks in time."""
        for seat in list(self._seats.values()):
            if seat.given:
                self._events.warning(f"worker {seat.worker.label} does not answer; its tasks may still run")
            self.seat_closed(seat.number, again=False)

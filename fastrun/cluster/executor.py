"""exec, and eval where a task says so: on the workers of a cluster.

Knows seats and what is told over them; not who grants them. The cluster's scheduler decides where seats are, this
which task goes to which seat: the cluster never sees a task.

Small tasks go to a seat in bundles, as many as run in ``_BUNDLE_SECONDS`` by what tasks took so far; a worker whose
task takes long gives back those that wait behind it. What was given to a worker that is lost, and had started, runs
again somewhere else, so many times; what had not started simply goes back.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from fastrun.cluster.seats import (
    ENDED,
    HEARD,
    INTERRUPT,
    RECALL,
    RELEASE,
    RUN,
    STARTED,
    Cluster,
    News,
    Resources,
    Worker,
    pack,
)
from fastrun.outcome import Cause, Outcome, Start, Status
from fastrun.protocols import Chain, Events

# Seconds of work that one message brings to a seat: a message costs some milliseconds.
_BUNDLE_SECONDS = 0.1
_LARGEST_BUNDLE = 256

# Seconds from which on it is told how late word of an end came that has nothing else to be told of. News wait up to
# 20 ms for others.
_LATE = 0.001

# Tasks that take longer, in seconds, are not given ahead: the message is nothing beside them.
_AHEAD = 0.5

# Seconds after which a worker gives back what waits behind one task, or twice what tasks take so far.
_PATIENCE_THERE = 0.025

# Tasks in hand beside those that seats have: so many more seats are asked for, which is what makes a cluster grow.
_WAITING = 16

# Seconds after which a seat without work is given back, and between looks.
_IDLE_SECONDS = 1.0
_LOOK_SECONDS = 0.25

# Seconds after which the user is told that no worker takes a task.
_PATIENCE = 10.0

# Seconds that workers have for an end with force before they are given up on.
_LAST_WORDS = 5.0


class _Seat:
    """``given``: what is there and has not ended, in the order in which it runs, by number: its chain from there.

    ``running``: the task that is known to have started. ``blocked``: whether it takes long.
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

    def __init__(self, cluster: Cluster, resources: Resources = (), *, worker_retries: int = 2) -> None:
        """``worker_retries``: how often a task runs again whose worker was lost."""
        self._cluster = cluster
        self._resources = resources
        self._worker_retries = worker_retries
        self._waiting: deque[Chain] = deque()
        self._requested: set[int] = set()
        self._seats: dict[int, _Seat] = {}
        # Where a task is that was given to a seat.
        self._places: dict[int, _Seat] = {}
        # Seats that could take more.
        self._hungry: dict[int, _Seat] = {}
        self._bundle = 1
        self._mean: float | None = None
        # Of tasks whose worker was lost: how often, and the last one.
        self._losses: dict[int, tuple[int, str]] = {}
        # Of tasks that may be tried again, where they ran last: what they left behind is there.
        self._last: dict[int, str] = {}
        self._interrupted = False
        self._lost: str | None = None
        self._warned = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_words: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """How many tasks may be in hand: what keeps the seats busy, and a few that ask for more seats."""
        return len(self._seats) * 2 * self._bundle + _WAITING

    def open(self, events: Events) -> None:
        """Begin; seats are asked for when there is work."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._cluster.open(events)
        self._waiting_since = self._loop.time()
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look_again)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Give chains to seats, as far as there are some that are free."""
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
        self.look()

    def recall(self) -> None:
        """Return what has no seat, and have back from the workers what has not started."""
        self._return_waiting()
        for worker in {seat.worker.address for seat in self._seats.values() if seat.given}:
            self._cluster.send(worker, (RECALL,))

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Have workers end the groups, or one; what has no seat goes back."""
        if number is not None:
            seat = self._places.get(number)
            worker = self._last.get(number) if seat is None else seat.worker.address
            if worker is not None:
                self._cluster.send(worker, (INTERRUPT, number, force))
            return
        self._interrupted = True
        self._return_waiting()
        self._cluster.send(None, (INTERRUPT, None, force))
        if force and self._last_words is None:
            self._last_words = self._loop.call_later(_LAST_WORDS, self._give_up)

    def suspend(self, *, resume: bool) -> None:
        """Nothing: workers go on, and keep what they have to say."""

    async def close(self) -> None:
        """Give the seats back."""
        for timer in (self._timer, self._last_words):
            if timer is not None:
                timer.cancel()
        self._timer = self._last_words = None
        await self._cluster.close()

    # Called by the cluster

    def seat_opened(self, seat: int, worker: Worker) -> None:
        """Give it something to do."""
        self._requested.discard(seat)
        made = self._seats[seat] = _Seat(seat, worker, self._loop.time())
        self._fill(made)
        # Room for more in hand.
        self._events.slots_changed()

    def seat_closed(self, seat: int, *, again: bool) -> None:
        """What had started there runs again elsewhere, as long as it may."""
        self._requested.discard(seat)
        if again:
            self._requested.add(seat)
        found = self._seats.pop(seat, None)
        if found is None:
            return
        self._hungry.pop(seat, None)
        for place, number in enumerate(found.given):
            del self._places[number]
            self._lose(found, number, next_one=not place)
        self._events.slots_changed()

    def news(self, news: News, ago: float = 0.0) -> None:
        """Pass on what happened to a task; ignored if that was taken from the seat before."""
        what, number = news[0], news[2]
        if what == ENDED and news[3].status is Status.FAILED and news[1] in self._seats:
            # Before all that is sent from now on, and behind what was sent before.
            self._cluster.send(self._seats[news[1]].worker.address, (HEARD,))
        seat = self._places.get(number)
        if seat is None or seat.number != news[1]:
            return
        if what == STARTED:
            seat.running = number
            self._events.task_started(number, Start(worker=seat.worker.label, ago=ago))
        elif what == ENDED:
            self._ended(seat, number, ago, *news[3:])
        else:
            del self._places[number], seat.given[number]
            # By a task that takes long. Nothing is left where the rest of a chain was recalled.
            seat.blocked = bool(seat.given)
            self._events.task_ended(number, None)

    def lost(self, why: str) -> None:
        """All that is in hand has failed, and so will all that comes."""
        self._lost = why
        for seat in list(self._seats.values()):
            self.seat_closed(seat.number, again=False)
        self._requested.clear()
        self._return_waiting()

    def look(self) -> None:
        """Ask for seats for what waits."""
        if self._lost is None and not self._interrupted:
            while len(self._requested) < len(self._waiting):
                seat = self._cluster.request(self, self._resources)
                if seat is None:
                    break
                self._requested.add(seat)

    # Own

    def _fill(self, seat: _Seat) -> None:
        """Give a seat a bundle, once it has done with half of its last one."""
        depth = self._bundle
        if self._mean is not None and self._mean < _AHEAD:
            # One lies there when the one before it ends: nobody waits for a message.
            depth = max(2, depth)
        room = depth - len(seat.given)
        if seat.blocked or (seat.given and 2 * room < depth):
            return
        # No more than its share, so that all end at the same time.
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
            self._places[chain[0][0]] = seat
        packed = [[pack(job) for job in chain] for chain in chains]
        patience = max(_PATIENCE_THERE, 2 * (self._mean or 0.0))
        self._cluster.send(seat.worker.address, (RUN, seat.number, packed, patience))
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
        del self._places[number]
        seat.running, seat.blocked = None, False
        self._learn(seconds)
        if ago > _LATE:
            outcome = outcome._replace(ago=ago)
        if outcome.status is Status.OK:
            if len(chain) > 1:
                # The next that runs there.
                seat.given = {chain[1][0]: chain[1:], **seat.given}
                self._places[chain[1][0]] = seat
        elif outcome.cause is Cause.CANNOT_START:
            outcome = outcome._replace(detail=f"{outcome.detail} on {seat.worker.label}")
        elif chain[0][1].retries:
            self._last[number] = seat.worker.address
        self._events.task_ended(number, self._with_loss(number, outcome))
        self._fill(seat)

    def _learn(self, seconds: float) -> None:
        """Adapt the size of bundles: at most twice as large each time, as small as needed at once."""
        self._mean = seconds if self._mean is None else 0.8 * self._mean + 0.2 * seconds
        wanted = int(_BUNDLE_SECONDS / max(self._mean, 1e-6))
        self._bundle = max(1, min(wanted, self._bundle * 2, _LARGEST_BUNDLE))

    def _lose(self, seat: _Seat, number: int, *, next_one: bool) -> None:
        """End a task that was given to a seat, when that is gone. ``next_one``: it was the next to start there."""
        if self._lost is not None or self._interrupted:
            self._end_lost(seat, number)
            return
        if not (number == seat.running or next_one or not self._worker_retries):
            self._events.task_ended(number, None)
            return
        # The word of its start may have been lost with the worker: one that kills all of them must not go on so.
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
        """Say in the report that a task ran again."""
        if number not in self._losses:
            return outcome
        return outcome._replace(lost_worker=self._losses.pop(number)[1])

    def _return_waiting(self) -> None:
        outcome = None
        if self._lost is not None and not self._interrupted:
            outcome = Outcome(Status.FAILED, Cause.CLUSTER_LOST, self._lost)
        while self._waiting:
            self._events.task_ended(self._waiting.popleft()[0][0], outcome)

    def _look_again(self) -> None:
        """Now and then: ask for seats, give idle ones back, say that nobody comes."""
        now = self._loop.time()
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look_again)
        self.look()
        for seat in list(self._hungry.values()):
            if not seat.given and now - seat.idle_since > _IDLE_SECONDS:
                del self._seats[seat.number], self._hungry[seat.number]
                self._cluster.send(seat.worker.address, (RELEASE, seat.number))
        if self._waiting and not self._seats and not self._warned and now - self._waiting_since > _PATIENCE:
            self._warned = True
            needed = "".join(f" with {name}={amount:g}" for name, amount in self._resources)
            self._events.warning(f"no worker{needed} has taken a task for {_PATIENCE:.0f} s; waiting")

    def _give_up(self) -> None:
        """The workers have not ended what they were told to."""
        for seat in list(self._seats.values()):
            if seat.given:
                self._events.warning(f"worker {seat.worker.label} does not answer; what runs there may live on")
            self.seat_closed(seat.number, again=False)

"""A simulated cluster: it grants seats at once, and its tasks take a given time and do nothing.

It implements the same protocol as the Dask cluster. Figures measured with it are fastrun's own cost per task, without
the cost of a network and of Dask's scheduler.
"""

import asyncio
import itertools
from collections import deque

from fastrun.cluster.seats import (
    ENDED,
    RETURNED,
    STARTED,
    Command,
    News,
    Owner,
    Packed,
    Recall,
    Release,
    Resources,
    RunTasks,
    Worker,
)
from fastrun.outcome import OK
from fastrun.protocols import Events


class SimulatedCluster:
    """Seats without workers. ``most_waiting``: most tasks at the seats at a time. ``messages``: number sent to them."""

    def __init__(self, seats: int, seconds: float = 0.0, latency: float = 0.0) -> None:
        """``seats``: most seats, one per worker. ``seconds`` per task. ``latency``: seconds per message, one way."""
        self._most = seats
        self._seconds = seconds
        self._latency = latency
        self._numbers = itertools.count()
        self._owners: dict[int, Owner] = {}
        self._queues: dict[int, deque[Packed]] = {}
        self._busy: set[int] = set()
        self._told: list[tuple[Owner, News]] = []
        self._waiting = 0
        self.most_waiting = 0
        self.messages = 0

    def open(self, events: Events) -> None:
        """Remember the running loop."""
        self._events = events
        self._loop = asyncio.get_running_loop()

    def request(self, owner: Owner, resources: Resources) -> int | None:  # noqa: ARG002
        """Grant a seat, or return None if there are enough."""
        if len(self._owners) == self._most:
            return None
        seat = next(self._numbers)
        self._owners[seat] = owner
        self._queues[seat] = deque()
        self._loop.call_later(self._latency, owner.seat_opened, seat, Worker(f"sim://{seat}", f"worker-{seat}"))
        return seat

    def send(self, worker: str | None, command: Command) -> None:
        """Deliver a command after the latency."""
        self.messages += 1
        self._loop.call_later(self._latency, self._take, worker, command)

    async def close(self) -> None:
        """Do nothing: nothing is open."""

    def _take(self, worker: str | None, command: Command) -> None:
        if isinstance(command, RunTasks):
            seat, chains, _patience = command
            self._queues[seat].extend(chain[0] for chain in chains)
            self._waiting += len(chains)
            self.most_waiting = max(self.most_waiting, self._waiting)
            self._work(seat)
        elif isinstance(command, Release):
            del self._owners[command.seat], self._queues[command.seat]
        elif isinstance(command, Recall) and worker is not None:
            seat = int(worker.removeprefix("sim://"))
            queue = self._queues.get(seat, deque())
            while queue:
                self._waiting -= 1
                self._tell(seat, (RETURNED, seat, queue.popleft()[0]))

    def _work(self, seat: int) -> None:
        """Run the tasks at a seat one after the other; tasks that take no time all end in this call."""
        queue = self._queues.get(seat)
        while queue and seat not in self._busy:
            number = queue.popleft()[0]
            self._tell(seat, (STARTED, seat, number))
            if self._seconds:
                self._busy.add(seat)
                self._loop.call_later(self._seconds, self._done, seat, number)
            else:
                self._done(seat, number)

    def _done(self, seat: int, number: int) -> None:
        self._waiting -= 1
        self._busy.discard(seat)
        self._tell(seat, (ENDED, seat, number, OK, max(self._seconds, 1e-3)))
        self._work(seat)

    def _tell(self, seat: int, news: News) -> None:
        if not self._told:
            self._loop.call_later(self._latency, self._deliver)
        self._told.append((self._owners[seat], news))

    def _deliver(self) -> None:
        told, self._told = self._told, []
        for owner, news in told:
            owner.news(news)

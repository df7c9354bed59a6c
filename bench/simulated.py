"""A cluster without machines: seats are granted at once, tasks take the time that is said and do nothing.

Behind the same seam as Dask. What is measured with it is what fastrun itself does for each task; what a network and
Dask's scheduler add is not in it.
"""

import asyncio
import itertools
from collections import deque

from fastrun.cluster.seats import (
    ENDED,
    RECALL,
    RELEASE,
    RETURNED,
    RUN,
    STARTED,
    Command,
    News,
    Owner,
    Packed,
    Resources,
    Worker,
)
from fastrun.outcome import Status
from fastrun.protocols import Events


class SimulatedCluster:
    """``most_waiting``: the most tasks that lay at the seats at the same time. ``messages``: how many were sent."""

    def __init__(self, seats: int, seconds: float = 0.0, latency: float = 0.0) -> None:
        """``seats``: one on each worker. ``seconds``: that a task takes. ``latency``: of each message, one way."""
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
        """Begin."""
        self._events = events
        self._loop = asyncio.get_running_loop()

    def request(self, owner: Owner, resources: Resources) -> int | None:  # noqa: ARG002
        """Grant a seat."""
        if len(self._owners) == self._most:
            return None
        seat = next(self._numbers)
        self._owners[seat] = owner
        self._queues[seat] = deque()
        self._loop.call_later(self._latency, owner.seat_opened, seat, Worker(f"sim://{seat}", f"worker-{seat}"))
        return seat

    def send(self, worker: str | None, command: Command) -> None:
        """Pass on, later."""
        self.messages += 1
        self._loop.call_later(self._latency, self._take, worker, command)

    async def close(self) -> None:
        """Nothing is open."""

    def _take(self, worker: str | None, command: Command) -> None:
        if command[0] == RUN:
            seat, chains, _patience = command[1:]
            self._queues[seat].extend(chain[0] for chain in chains)
            self._waiting += len(chains)
            self.most_waiting = max(self.most_waiting, self._waiting)
            self._work(seat)
        elif command[0] == RELEASE:
            del self._owners[command[1]], self._queues[command[1]]
        elif command[0] == RECALL and worker is not None:
            seat = int(worker.removeprefix("sim://"))
            queue = self._queues.get(seat, deque())
            while queue:
                self._waiting -= 1
                self._tell(seat, (RETURNED, seat, queue.popleft()[0]))

    def _work(self, seat: int) -> None:
        """Run what lies at a seat: at once where it takes no time, else one after the other."""
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
        self._tell(seat, (ENDED, seat, number, int(Status.OK), "", None, max(self._seconds, 1e-3)))
        self._work(seat)

    def _tell(self, seat: int, news: News) -> None:
        if not self._told:
            self._loop.call_later(self._latency, self._deliver)
        self._told.append((self._owners[seat], news))

    def _deliver(self) -> None:
        told, self._told = self._told, []
        for owner, news in told:
            owner.news(news)

"""The connection to a Dask cluster, whose scheduler grants seats. To Dask, a seat is a task that waits.

Knows Dask's client. Does not know which task goes to which seat.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastrun import __version__
from fastrun.cluster.address import ClusterError, local_cluster, local_workers, scheduler_address
from fastrun.cluster.seats import Close, Command, News, Owner, Release, Resources, Worker
from fastrun.cluster.worker.terms import Terms
from fastrun.protocols import Events
from fastrun.settings import RunSettings
from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.cluster.link import Link

# Most seconds that a scheduler, and then all its workers, may take to answer.
_CONNECT = 2.5

# Seats that are requested beyond the cluster's threads. They tell a cluster that can grow to do so.
_MORE_SEATS = 16

# Seconds between checks of the scheduler.
_CHECK_SECONDS = 0.5

# Seconds that workers have at the end, after the grace period.
_LAST_WORDS = 10.0

# Most connections, more than there will be workers: each worker has a request open all the time.
_CONNECTIONS = 1 << 16

# Most seats that may fail in a row while none is open. After that the cluster is given up.
_MOST_FAILURES = 20

LOST = "the cluster's scheduler was lost"


class DaskCluster:
    """Implements ``Cluster`` for executors. ``connect`` must be called before the run starts."""

    def __init__(self, address: str, settings: RunSettings, run_id: str, *, measured: bool) -> None:
        """``address``: the address of a scheduler, a scheduler's file, ``local`` or ``local:N``.

        ``measured``: whether workers report what each command used. Raises ClusterError.
        """
        self._address = address
        self._settings = settings
        self._run = run_id
        self._measured = measured
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:
            raise ClusterError("the current directory, in which commands are to run, was removed") from None
        self._numbers = itertools.count()
        self._owners: dict[int, Owner] = {}
        self._requests: dict[int, asyncio.Task[None]] = {}
        # By open seat, its worker.
        self._open: dict[int, Worker] = {}
        self._links: dict[str, Link] = {}
        self._lost_links: list[Link] = []
        self._local: Any = None
        self._client: Any = None
        self._checking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._lost = False
        self._why = ""
        self._failures = 0
        self._threads = 1
        self._warned: set[str] = set()

    async def connect(self) -> None:
        """Connect to the cluster, inside the running loop. Raises ClusterError."""
        from distributed import Client

        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":
                # fastrun prints its own lines about what Dask's loggers report.
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        workers = local_workers(self._address)
        try:
            if workers is not None:
                self._local = await local_cluster(workers)
            address = self._local or scheduler_address(self._address)
            self._client = Client(
                address,
                asynchronous=True,
                timeout=_CONNECT,
                connection_limit=_CONNECTIONS,
                set_as_default=False,
                direct_to_workers=False,
            )
            await asyncio.wait_for(self._client, _CONNECT)
            await self._check_versions()
        except asyncio.CancelledError:
            await self._disconnect(_CONNECT)
            raise
        except Exception as error:
            # Any exception: another kind of server at this address may answer anything.
            await self._disconnect(_CONNECT / 4)
            if isinstance(error, ClusterError):
                raise
            why = "no scheduler answers" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            raise ClusterError(f"{printable(self._address)}: cannot use the cluster: {printable(why)}") from None

    async def _check_versions(self) -> None:
        from fastrun.cluster.worker.worker import version_here

        try:
            versions = await asyncio.wait_for(self._client.run(version_here, on_error="return"), _CONNECT)
        except TimeoutError:
            # A worker is busy. Each worker checks the version itself when it is asked for a seat.
            return
        for address, version in versions.items():
            if version != __version__:
                raise ClusterError(f"{_wrong_version(address, version)}; here is {__version__}")

    # Called by the executors

    def open(self, events: Events) -> None:
        """Receive announcements of seats from now on."""
        if self._checking is None:
            self._events = events
            self._client.subscribe_topic(self._topic, self._seat_announced)
            self._checking = asyncio.get_running_loop().create_task(self._check_scheduler())
            self._checking.add_done_callback(self._lose_after_error)

    def request(self, owner: Owner, resources: Resources) -> int | None:
        """Submit a seat, as a task, to Dask."""
        from fastrun.cluster.worker.worker import hold_seat

        if self._lost:
            owner.lost(self._why)
            return None
        most = self._threads + _MORE_SEATS
        if self._settings.jobs is not None:
            most = min(most, self._settings.jobs)
        if len(self._requests) >= most:
            return None
        seat = next(self._numbers)
        future = self._client.submit(
            hold_seat,
            self._terms,
            seat,
            key=f"fastrun-{self._run}-{seat}",
            pure=False,
            resources=dict(resources) or None,
        )
        self._owners[seat] = owner
        self._requests[seat] = asyncio.get_running_loop().create_task(self._follow(seat, future))
        self._requests[seat].add_done_callback(self._lose_after_error)
        return seat

    def send(self, worker: str | None, command: Command) -> None:
        """Pass it on."""
        if isinstance(command, Release):
            self._owners.pop(command.seat, None)
        links = self._links.values() if worker is None else filter(None, [self._links.get(worker)])
        for link in links:
            link.send(command)

    async def close(self) -> None:
        """Close the connection, once for all executors."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    # Called by the links

    def heard(self, worker: Worker, news: News, ago: float) -> None:
        """Pass news on to the executor that has the seat."""
        owner = self._owners.get(news[1])
        if owner is not None and self._open.get(news[1]) == worker:
            owner.news(news, ago)

    def link_lost(self, link: "Link") -> None:
        """Close all seats of a lost worker. Dask opens them on other workers."""
        if self._links.get(link.worker.address) is not link or self._closing is not None or self._lost:
            return
        del self._links[link.worker.address]
        self._lost_links.append(link)
        link.end()
        self._events.warning(f"worker {link.worker.label} was lost")
        for seat in [seat for seat, worker in self._open.items() if worker == link.worker]:
            del self._open[seat]
            if seat in self._owners:
                self._owners[seat].seat_closed(seat, again=True)

    async def knows(self, address: str) -> bool:
        """Return whether the scheduler has this worker."""
        try:
            return address in await asyncio.wait_for(self._client.nthreads(), _CONNECT)
        except (OSError, TimeoutError):
            return False

    # Called by Dask

    @property
    def _topic(self) -> str:
        return f"fastrun-{self._run}"

    @property
    def _terms(self) -> Terms:
        settings = self._settings
        return Terms(
            self._run,
            self._topic,
            __version__,
            self._directory,
            settings.grace,
            settings.timeout,
            settings.guardian,
            self._measured,
            settings.keep_going > 0,
        )

    def _seat_announced(self, event: tuple[float, Any]) -> None:
        """Open a seat that a worker has announced."""
        about = event[1]
        if not isinstance(about, dict) or about.get("run") != self._run or self._lost or self._closing is not None:
            return
        seat, address, name = about["seat"], about["worker"], str(about["name"])
        before = self._open.get(seat)
        if before is not None:
            # The seat has moved: Dask has noticed the loss of its worker before the link did.
            self.link_lost(self._links[before.address])
        worker = Worker(address, printable(address if not name or name.isdecimal() else name))
        if address not in self._links:
            self._links[address] = self._new_link(worker)
        owner = self._owners.get(seat)
        if owner is None:
            # The seat was released, but its worker was lost before the release arrived.
            self.send(address, Release(seat))
            return
        self._open[seat] = worker
        self._failures = 0
        owner.seat_opened(seat, worker)

    def _new_link(self, worker: Worker) -> "Link":
        from fastrun.cluster.link import Link

        return Link(self._client, self._run, worker, self._events, self)

    async def _follow(self, seat: int, future: Any) -> None:
        """Wait for the end of a seat: it was released, or no worker can hold it."""
        error = await future.exception()
        if future.cancelled():
            # Dask cancels futures when the connection is lost.
            if self._closing is None:
                self._lose(LOST)
            return
        # Dask gives up a seat whose workers were lost several times (KilledWorker). Another seat is then requested.
        if error is not None and type(error).__name__ != "KilledWorker":
            await self._refused(f"{type(error).__name__}: {error}")
        del self._requests[seat]
        self._open.pop(seat, None)
        owner = self._owners.pop(seat, None)
        if owner is not None:
            owner.seat_closed(seat, again=False)
        for other in set(self._owners.values()) | ({owner} if owner else set()):
            other.request_seats()

    def _lose_after_error(self, task: "asyncio.Task[None]") -> None:
        """Give up the cluster after an error in this module, so that the run does not wait for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._lose(f"internal error of fastrun: {error!r}")

    async def _refused(self, why: str) -> None:
        """Warn why a worker refused a seat, and wait before the next request."""
        if why not in self._warned:
            self._warned.add(why)
            self._events.warning(f"a worker cannot be used: {why}")
        self._failures += 1
        if self._failures > _MOST_FAILURES and not self._open:
            self._lose(f"no worker can be used: {printable(why)}")
        await asyncio.sleep(_CHECK_SECONDS)

    async def _check_scheduler(self) -> None:
        """Check now and then whether the scheduler is there, and how many threads the cluster has."""
        while not self._lost:
            if self._client.status != "running":
                self._lose(LOST)
                return
            with suppress(Exception):
                # Dask does not document what a client raises while it is closing.
                self._threads = sum((await asyncio.wait_for(self._client.nthreads(), _CONNECT)).values())
            await asyncio.sleep(_CHECK_SECONDS)

    def _lose(self, why: str) -> None:
        if self._lost:
            return
        self._lost = True
        self._why = why
        self._events.warning(why)
        owners = set(self._owners.values())
        self._owners.clear()
        for owner in owners:
            owner.lost(why)

    async def _close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        links = list(self._links.values())
        if not self._lost:
            for link in links:
                link.send(Close())
            await self._wait_for_ends(links)
        await asyncio.gather(*(link.close() for link in [*links, *self._lost_links]))
        for task in self._requests.values():
            task.cancel()
        await asyncio.gather(*self._requests.values(), return_exceptions=True)
        if self._checking is not None and not self._lost:
            self._client.unsubscribe_topic(self._topic)
        await self._disconnect()

    async def _wait_for_ends(self, links: Sequence["Link"]) -> None:
        """Wait until the workers have ended, for the grace period and a bit, longer while the output is congested."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.grace + _LAST_WORDS
        waiting = {asyncio.ensure_future(link.ended.wait()) for link in links}
        while waiting and loop.time() < until:
            _, waiting = await asyncio.wait(waiting, timeout=_CHECK_SECONDS)
            if self._events.congested:
                until = loop.time() + self._settings.grace + _LAST_WORDS
        for end in waiting:
            end.cancel()

    async def _disconnect(self, seconds: float = _LAST_WORDS) -> None:
        """Close the client, and the cluster if this run started it, each within ``seconds``."""
        for part in filter(None, (self._client, self._local)):
            with suppress(OSError, TimeoutError, RuntimeError):
                await asyncio.wait_for(part.close(), seconds)


def _wrong_version(address: str, version: object) -> str:
    if isinstance(version, str):
        return f"worker {printable(address)} has fastrun {printable(version)}"
    return f"worker {printable(address)} has no fastrun that can be used ({printable(str(version))})"

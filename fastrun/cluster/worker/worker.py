"""The worker's end of a run: what Dask calls, and what the client sends.

A seat is a coroutine that Dask runs as a task for as long as the client wants the seat. So it occupies a thread of the
worker, as any other task would. The client sends commands through a handler of the worker, and fetches news through the
same handler. So nothing listens that Dask has not opened, and a client that does not fetch news delays output instead
of filling memory.

Knows Dask's worker. Does not know how tasks run: see ``tasks``.
"""

import asyncio
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from fastrun import __version__
from fastrun.cluster.seats import (
    CLOSED,
    AcknowledgeFailure,
    Close,
    Command,
    Interrupt,
    Leave,
    Recall,
    Release,
    RunTasks,
)
from fastrun.cluster.worker.outbox import Outbox
from fastrun.cluster.worker.tasks import SeatedTasks
from fastrun.cluster.worker.terms import OPERATION, Terms

# Seconds without a request after which the client is believed to be gone. Only needed where no seat would tell.
_SILENCE = 60.0

# Most seconds of grace that tasks have once the client is gone.
_GRACE_ALONE = 2.0


class WrongVersionError(Exception):
    """The worker has another version of fastrun than the client."""


def version_here() -> str:
    """Return the version of fastrun on this worker."""
    return __version__


async def hold_seat(terms: Terms, seat: int) -> None:
    """Hold a seat on this worker until the client releases it or is gone."""
    worker = get_worker()
    if terms.version != __version__:
        raise WrongVersionError(f"{worker.address} has fastrun {__version__}, not {terms.version}")
    key = worker.id, terms.run
    run = _runs.get(key)
    if run is None:
        run = _runs[key] = WorkerRun(worker, terms)
        worker.handlers.setdefault(OPERATION, _handler_of(worker.id))
        # A plugin of this worker alone: the scheduler does not keep it.
        await worker.plugin_add(run, f"fastrun-{terms.run}")
    await run.hold(seat)


def _handler_of(worker: str) -> Any:
    async def handle(run: str, commands: bytes | None = None, first: int = 0, heard: int = -1) -> Any:
        """Execute commands, or return news. Return None if there is no such run."""
        found = _runs.get((worker, run))
        if found is None:
            return None
        if commands is not None:
            found.execute(first, pickle.loads(commands))  # noqa: S301  # Dask's own messages are pickled as well
            return True
        return await found.outbox.fetch(heard)

    return handle


class WorkerRun(WorkerPlugin):  # type: ignore[misc]  # has no types
    """One run on one worker."""

    def __init__(self, worker: Worker, terms: Terms) -> None:
        """Create it inside the worker's loop."""
        self._worker = worker
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox()
        self._tasks = SeatedTasks(terms, self.outbox)
        # The number of the next command.
        self._next = 0
        self._closing: asyncio.Task[None] | None = None
        self._silence = self._loop.call_later(_SILENCE, self._check_silence)

    # Called by Dask

    async def hold(self, number: int) -> None:
        """Announce a seat and hold it."""
        if self._closing is not None:
            return
        seat = self._tasks.open_seat(number)
        about = {"run": self._terms.run, "seat": number, "worker": self._worker.address, "name": self._worker.name}
        self._worker.log_event(self._terms.topic, about)
        try:
            await seat.released
        finally:
            self._tasks.close_seat(seat)

    def transition(self, key: str, start: str, finish: str, **_: Any) -> None:
        """End everything if the scheduler drops a running seat, which it does only when the client has gone."""
        if start == "executing" and finish == "released" and str(key).startswith(f"fastrun-{self._terms.run}-"):
            self._abandon()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """End everything, because the worker leaves."""
        self._abandon()
        if self._closing is not None:
            await self._closing

    # Called by the client

    def execute(self, first: int, commands: Sequence[Command]) -> None:
        """Execute each command once, though it may arrive twice. ``first``: the running number of the first."""
        methods: dict[type[Command], Callable[..., object]] = {
            RunTasks: self._tasks.run,
            Interrupt: self._tasks.interrupt,
            Recall: self._tasks.recall,
            AcknowledgeFailure: self._tasks.acknowledge_failure,
            Release: self._tasks.release,
            Close: self._close,
            Leave: self._forget,
        }
        for number, command in enumerate(commands, first):
            if number == self._next:
                self._next += 1
                methods[type(command)](*command)

    def _close(self) -> "asyncio.Task[None]":
        if self._closing is None:
            self._tasks.accepting = False
            self._closing = self._loop.create_task(self._end())
        return self._closing

    def _forget(self) -> None:
        _runs.pop((self._worker.id, self._terms.run), None)

    # The end

    async def _end(self) -> None:
        """End all that is left, and tell the client."""
        await self._tasks.close()
        self._silence.cancel()
        self.outbox.tell(CLOSED, urgent=True)
        # The plugin may be gone already: this also runs when the worker leaves.
        self._worker.plugins.pop(f"fastrun-{self._terms.run}", None)

    def _abandon(self) -> None:
        """End everything without a client that could see it."""
        if self._closing is not None:
            return
        self.outbox.shut = True
        self._tasks.interrupt(None, False)
        force = self._loop.call_later(min(self._terms.grace, _GRACE_ALONE), self._tasks.interrupt, None, True)

        def forget(_: object) -> None:
            force.cancel()
            self._forget()

        self._close().add_done_callback(forget)

    def _check_silence(self) -> None:
        """Abandon the run if no seat is held, whose end would tell of the client's, and the client is silent."""
        if not self._tasks.seats and self._loop.time() - self.outbox.asked > _SILENCE:
            self._abandon()
        elif not self.outbox.shut:
            self._silence = self._loop.call_later(_SILENCE, self._check_silence)


# The runs that this process works for, by worker and run: one process may have several workers.
_runs: dict[tuple[str, str], WorkerRun] = {}

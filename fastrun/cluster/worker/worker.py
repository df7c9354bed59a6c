"""What runs in a worker's process: seats, and the tasks that sit in them.

Holds the same executors as a run on one machine, in the worker's own loop. Knows Dask's worker; of the run only the
tasks that it is given.

A seat is a coroutine that Dask runs as a task, for as long as the client wants to have it: the worker's threads are
thus taken up as by any other task. What is to be done comes by a handler of the worker, and what happened is fetched by
the same. So nothing listens that Dask has not opened, and a client that fetches nothing holds up output, not memory.
"""

import asyncio
import functools
import os
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from distributed import Worker, WorkerPlugin, get_worker

from fastrun import __version__
from fastrun.cluster.seats import (
    CLOSE,
    CLOSED,
    ENDED,
    HEARD,
    INTERRUPT,
    LEAVE,
    OUTPUT,
    RECALL,
    RELEASE,
    RETURNED,
    RUN,
    STARTED,
    WARNING,
    Command,
    unpack,
)
from fastrun.cluster.worker.outbox import Outbox
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.snippets.executor import SnippetExecutor
from fastrun.outcome import Cause, Outcome, Start, Status
from fastrun.protocols import Executor, Job
from fastrun.runner.deadlines import Deadlines

# The worker's handler.
OPERATION = "fastrun"

# Seconds between looks at what waits behind a task that takes long.
_PAUSE = 0.01

# Seconds between two tries to start a command as long as the system refuses.
_RETRY = 0.1

# Seconds without a question after which nobody is believed to be there, where no seat would tell.
_SILENCE = 60.0

# Seconds that tasks have to end, at the most, when there is nobody any more to see it.
_GRACE_ALONE = 2.0


class Terms(NamedTuple):
    """What a client wants of all workers.

    ``run``: the run's id. ``topic``: where seats are announced. ``version``: of the client's fastrun. ``directory``:
    where commands run. ``timeout``: seconds that tasks may take which do not say so themselves, None for ever.
    ``fail_fast``: give back what has not started when a task fails.
    The others as for a run on one machine.
    """

    run: str
    topic: str
    version: str
    directory: str
    grace: float
    timeout: float | None
    guardian: bool
    measured: bool
    fail_fast: bool


class WrongVersionError(Exception):
    """The worker has another fastrun than the client."""


def version_here() -> str:
    """What fastrun a worker has."""
    return __version__


async def take_seat(terms: Terms, seat: int) -> None:
    """Hold a seat on this worker until the client gives it back, or is gone."""
    worker = get_worker()
    if terms.version != __version__:
        raise WrongVersionError(f"{worker.address} has fastrun {__version__}, not {terms.version}")
    key = worker.id, terms.run
    side = _sides.get(key)
    if side is None:
        side = _sides[key] = Side(worker, terms)
        worker.handlers.setdefault(OPERATION, _handler_of(worker.id))
        # Of this worker alone: nothing stays with the scheduler.
        await worker.plugin_add(side, f"fastrun-{terms.run}")
    await side.hold(seat)


def _handler_of(worker: str) -> Any:
    async def handle(run: str, said: bytes | None = None, place: int = 0, heard: int = -1) -> Any:
        """Take commands, or tell what is new: None where there is no such run."""
        side = _sides.get((worker, run))
        if side is None:
            return None
        if said is not None:
            side.take(place, pickle.loads(said))  # noqa: S301  # Dask's own messages are pickled as well
            return True
        return await side.outbox.fetch(heard)

    return handle


class _Place:
    """One seat, seen from the worker. ``queue``: chains that wait. ``chain``: what runs, the task and what follows."""

    def __init__(self, seat: int, loop: asyncio.AbstractEventLoop) -> None:
        self.seat = seat
        self.queue: deque[list[Job]] = deque()
        self.chain: list[Job] = []
        # Whether the rest of the chain is to go back.
        self.recalled = False
        self.since = 0.0
        self.patience = 0.0
        self.released: asyncio.Future[None] = loop.create_future()

    def release(self) -> None:
        if not self.released.done():
            self.released.set_result(None)


class Side(WorkerPlugin):  # type: ignore[misc]  # has no types
    """One run on one worker. Is the ``Events`` of its executors."""

    def __init__(self, worker: Worker, terms: Terms) -> None:
        """Begin, inside the worker's loop."""
        self._worker = worker
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        # Of its own: there may be several workers on a machine, and one that dies must not take the others' with it.
        self._guardian = Guardian(f"{terms.run}:{os.urandom(4).hex()}", wanted=terms.guardian)
        self._executors: dict[str, Executor] = {}
        self._places: dict[int, _Place] = {}
        # By the number of a task that runs or is about to.
        self._running: dict[int, _Place] = {}
        self._deadlines = Deadlines(terms.timeout, terms.grace, self._end_task)
        self._starting: list[list[Job]] = []
        self._heard = 0
        self.outbox = Outbox()
        self._tell = self.outbox.tell
        # With ``fail_fast``, failures that the client had not heard of when it sent what comes now.
        self._unheard = 0
        self._watching = False
        self._interrupted = False
        self._closing: asyncio.Task[None] | None = None
        self._silence = self._loop.call_later(_SILENCE, self._listen)

    # Seats

    async def hold(self, seat: int) -> None:
        """Announce a seat and hold it."""
        if self._closing is not None:
            return
        place = self._places[seat] = _Place(seat, self._loop)
        said = {"run": self._terms.run, "seat": seat, "worker": self._worker.address, "name": self._worker.name}
        self._worker.log_event(self._terms.topic, said)
        try:
            await place.released
        finally:
            self._give_back(place)
            del self._places[seat]

    def transition(self, key: str, start: str, finish: str, **_: Any) -> None:
        """Called by Dask. Of a seat that runs nobody lets go but a scheduler whose client has gone."""
        if start == "executing" and finish == "released" and str(key).startswith(f"fastrun-{self._terms.run}-"):
            self._abandon()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """Called by Dask: the worker leaves."""
        self._abandon()
        if self._closing is not None:
            await self._closing

    # What the client says

    def take(self, first: int, commands: Sequence[Command]) -> None:
        """Do what is said; each once, though it may come twice. ``first``: the running number of the first."""
        methods: dict[str, Callable[..., None]] = {
            RUN: self._run,
            INTERRUPT: self._interrupt,
            RECALL: self._recall,
            HEARD: self._hear,
            RELEASE: self._release,
            CLOSE: self._begin_to_close,
            LEAVE: self._forget,
        }
        for number, (what, *content) in enumerate(commands, first):
            if number == self._heard:
                self._heard += 1
                methods[what](*content)

    def _run(self, seat: int, chains: Sequence[Sequence[Sequence[Any]]], patience: float) -> None:
        here = None if os.getcwd() == self._terms.directory else self._terms.directory
        jobs = [[unpack(packed, here) for packed in chain] for chain in chains]
        place = self._places.get(seat)
        if place is None or self._unheard or self._interrupted or self._closing is not None:
            for chain in jobs:
                self._tell(RETURNED, seat, chain[0][0], urgent=True)
            return
        place.queue.extend(jobs)
        place.patience = patience
        self._advance(place)
        if place.queue and not self._watching:
            self._watching = True
            self._loop.call_later(_PAUSE, self._watch)

    def _interrupt(self, number: int | None, force: bool) -> None:
        if number is None:
            self._interrupted = True
            self._recall()
        for executor in self._executors.values():
            executor.interrupt(number, force=force)

    def _recall(self) -> None:
        for place in self._places.values():
            self._give_back(place)
            place.recalled = bool(place.chain)

    def _hear(self) -> None:
        """Let more start, as far as the client sends it from now on."""
        self._unheard -= self._unheard > 0

    def _release(self, seat: int) -> None:
        if seat in self._places:
            self._places[seat].release()

    def _begin_to_close(self) -> None:
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())

    def _forget(self) -> None:
        _sides.pop((self._worker.id, self._terms.run), None)

    # What runs

    def _advance(self, place: _Place) -> None:
        """Start the next task of a seat, unless one runs there."""
        if not place.chain and place.queue:
            place.chain = place.queue.popleft()
            place.recalled = False
        if not place.chain or place.chain[0][0] in self._running:
            return
        job = place.chain[0]
        place.since = self._loop.time()
        self._running[job[0]] = place
        if not self._starting:
            # Not at once: a pipe that was just closed must be forgotten before another gets its number.
            self._loop.call_soon(self._start)
        self._starting.append([job])

    def _start(self) -> None:
        starting, self._starting = self._starting, []
        if self._interrupted:
            for chain in starting:
                self.task_ended(chain[0][0], None)
            return
        for type_ in ("exec", "eval"):
            chains = [chain for chain in starting if chain[0][1].type == type_]
            if chains:
                start = self._loop.create_task(self._executor(type_).start(chains))
                start.add_done_callback(functools.partial(self._started, chains))

    def _started(self, chains: list[list[Job]], start: "asyncio.Task[None]") -> None:
        """Say so of tasks whose start failed: without an end of theirs the client would wait for ever."""
        error = None if start.cancelled() else start.exception()
        if start.cancelled() or error is not None:
            for (number, _), *_rest in chains:
                if number in self._running:
                    self.task_ended(number, Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error)))

    def _executor(self, type_: str) -> Executor:
        executor = self._executors.get(type_)
        if executor is None:
            if type_ == "exec":
                executor = ProcessExecutor(self._guardian, grace=self._terms.grace, measured=self._terms.measured)
            else:
                executor = SnippetExecutor(self._guardian)
            self._executors[type_] = executor
            executor.open(self)
        return executor

    def _give_back(self, place: _Place) -> None:
        """Return what waits in a seat."""
        while place.queue:
            self._tell(RETURNED, place.seat, place.queue.popleft()[0][0], urgent=True)

    def _watch(self) -> None:
        """Let nothing wait behind a task that takes long."""
        self._watching = False
        now = self._loop.time()
        for place in self._places.values():
            if place.queue:
                if now - place.since > place.patience:
                    self._give_back(place)
                else:
                    self._watching = True
        if self._watching:
            self._loop.call_later(_PAUSE, self._watch)

    # Events

    @property
    def congested(self) -> bool:
        """Whether the client is behind."""
        return self.outbox.full

    def task_started(self, number: int, start: Start) -> None:  # noqa: ARG002
        """Its time begins."""
        place = self._running[number]
        self._deadlines.begin(number, place.chain[0][1])
        self._tell(STARTED, place.seat, number)

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Keep it until it is fetched."""
        self._tell(OUTPUT, number, stream, data)

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Tell it, and go on."""
        place = self._running.pop(number, None)
        if place is None:
            return
        if outcome is None and not self._interrupted:
            # Refused by the system for now.
            self._loop.call_later(_RETRY, self._advance, place)
            return
        chain, place.chain = place.chain, []
        if outcome is None:
            self._tell(RETURNED, place.seat, number, urgent=True)
            return
        outcome = self._deadlines.end(number, chain[0][1], outcome)
        goes_on = outcome.status is Status.OK and not self._interrupted and len(chain) > 1
        if goes_on and not place.recalled:
            place.chain = chain[1:]
        seconds = self._loop.time() - place.since
        idle = not (place.chain or place.queue)
        self._tell(ENDED, place.seat, number, outcome, seconds, urgent=idle)
        if goes_on and place.recalled:
            self._tell(RETURNED, place.seat, chain[1][0], urgent=True)
        if self._terms.fail_fast and outcome.status is Status.FAILED:
            self._unheard += 1
            self._recall()
        self._advance(place)

    def slots_changed(self) -> None:
        """Nothing: seats are what counts."""

    def warning(self, text: str) -> None:
        """Pass on to the user."""
        self._tell(WARNING, text, urgent=True)

    def _end_task(self, number: int, force: bool) -> None:
        for executor in self._executors.values():
            executor.interrupt(number, force=force)

    # The end

    async def _close(self) -> None:
        """End what is left."""
        await asyncio.gather(*(executor.close() for executor in self._executors.values()))
        self._guardian.stop()
        self._silence.cancel()
        for place in self._places.values():
            place.release()
        self._tell(CLOSED, urgent=True)
        # This is called by the worker too, when it leaves.
        self._worker.plugins.pop(f"fastrun-{self._terms.run}", None)

    def _abandon(self) -> None:
        """There is nobody any more who wants to know: end it all."""
        if self._closing is not None:
            return
        self.outbox.shut = True
        self._interrupt(None, False)
        force = self._loop.call_later(min(self._terms.grace, _GRACE_ALONE), self._interrupt, None, True)
        self._closing = self._loop.create_task(self._close())

        def forget(_: object) -> None:
            force.cancel()
            self._forget()

        self._closing.add_done_callback(forget)

    def _listen(self) -> None:
        """Where no seat is held nothing tells of the client's end but its silence."""
        if not self._places and self._loop.time() - self.outbox.asked > _SILENCE:
            self._abandon()
        elif not self.outbox.shut:
            self._silence = self._loop.call_later(_SILENCE, self._listen)


# The runs that this process works for, by worker and run: in one process there may be several workers.
_sides: dict[tuple[str, str], Side] = {}

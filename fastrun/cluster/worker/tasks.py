"""The tasks in the seats of one worker: runs them, and returns tasks that have not started.

Uses the same executors as a run on one machine, in the worker's own loop. Knows neither Dask nor the client: news
go to the outbox. Of the document it knows only the tasks that it is given.
"""

import asyncio
import functools
import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from fastrun.cluster.seats import ENDED, OUTPUT, RETURNED, STARTED, WARNING, unpack
from fastrun.cluster.worker.outbox import Outbox
from fastrun.cluster.worker.terms import Terms
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.snippets.executor import SnippetExecutor
from fastrun.outcome import Cause, Outcome, Start, Status
from fastrun.protocols import Executor, Job, tell_each
from fastrun.runner.deadlines import Deadlines
from fastrun.settings import RunSettings

# Seconds between checks for tasks that wait behind a long one.
_CHECK = 0.01

# Seconds between two attempts to start a command while the system refuses.
_RETRY = 0.1


class _Seat:
    """A seat on this worker.

    ``queue``: chains that wait. ``chain``: the running task and the tasks that follow it. ``recalled``: whether the
    tasks that follow are to be returned. ``since``: when the running task was started. ``patience``: seconds after
    which the queue is returned. ``released``: done once the client has released the seat.
    """

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.queue: deque[list[Job]] = deque()
        self.chain: list[Job] = []
        self.recalled = False
        self.since = 0.0
        self.patience = 0.0
        self.released: asyncio.Future[None] = loop.create_future()

    def release(self) -> None:
        if not self.released.done():
            self.released.set_result(None)


class SeatedTasks:
    """Runs the tasks of one run on one worker. Implements ``Events`` for its executors.

    ``seats``: by number. ``accepting``: whether new tasks run; otherwise they are returned.
    """

    def __init__(self, terms: Terms, outbox: Outbox) -> None:
        """``outbox``: takes the news for the client. Create this inside the worker's loop."""
        self._terms = terms
        self._outbox = outbox
        self._tell = outbox.tell
        self._loop = asyncio.get_running_loop()
        # A guardian of its own: a machine may have several workers, and one that dies must not take down the others'
        # commands.
        self._guardian = Guardian(f"{terms.run}:{os.urandom(4).hex()}", wanted=terms.guardian)
        self._executors: dict[str, Executor] = {}
        self.seats: dict[int, _Seat] = {}
        # By the number of each task that runs or is about to start.
        self._running: dict[int, _Seat] = {}
        self._deadlines = Deadlines(terms.timeout, terms.grace, self._end_task)
        self._starting: list[list[Job]] = []
        # With ``fail_fast``: failures that the client had not heard of when it sent the commands that arrive now.
        self._unheard = 0
        self._checking = False
        self._interrupted = False
        self.accepting = True

    def open_seat(self, number: int) -> _Seat:
        """Add a seat, and return it."""
        seat = self.seats[number] = _Seat(number, self._loop)
        return seat

    def close_seat(self, seat: _Seat) -> None:
        """Remove a seat, and return the tasks that wait in it."""
        self._return_queue(seat)
        del self.seats[seat.number]

    async def close(self) -> None:
        """End all that is left, and release all seats."""
        await asyncio.gather(*(executor.close() for executor in self._executors.values()))
        self._guardian.stop()
        for seat in self.seats.values():
            seat.release()

    # Commands of the client

    def run(self, number: int, chains: Sequence[Sequence[Sequence[Any]]], patience: float) -> None:
        """Run chains of packed tasks in a seat. After ``patience`` seconds of one task return those behind it."""
        directory = None if os.getcwd() == self._terms.directory else self._terms.directory
        jobs = [[unpack(packed, directory) for packed in chain] for chain in chains]
        seat = self.seats.get(number)
        if seat is None or self._unheard or not self.accepting:
            for chain in jobs:
                self._tell(RETURNED, number, chain[0][0], urgent=True)
            return
        seat.queue.extend(jobs)
        seat.patience = patience
        self._start_next(seat)
        if seat.queue and not self._checking:
            self._checking = True
            self._loop.call_later(_CHECK, self._check_patience)

    def interrupt(self, number: int | None, force: bool) -> None:
        """Interrupt one task, or with None the whole run, whose waiting tasks are returned."""
        if number is None:
            self._interrupted = True
            self.accepting = False
            self.recall()
        self._end_task(number, force)

    def recall(self) -> None:
        """Return all tasks that have not started: those that wait in seats, and the rest of each running chain."""
        for seat in self.seats.values():
            self._return_queue(seat)
            seat.recalled = bool(seat.chain)

    def acknowledge_failure(self) -> None:
        """Note that the client has heard of one more failure: it sent the commands that follow after that."""
        self._unheard -= self._unheard > 0

    def release(self, number: int) -> None:
        """Release a seat."""
        if number in self.seats:
            self.seats[number].release()

    # Running

    def _start_next(self, seat: _Seat) -> None:
        """Start the next task of a seat, unless one runs there."""
        if not seat.chain and seat.queue:
            seat.chain = seat.queue.popleft()
            seat.recalled = False
        if not seat.chain or seat.chain[0][0] in self._running:
            return
        job = seat.chain[0]
        seat.since = self._loop.time()
        self._running[job[0]] = seat
        if not self._starting:
            # In the next turn: a pipe that was just closed must be forgotten before another gets its number.
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
                start.add_done_callback(functools.partial(self._report_failed_start, chains))

    def _report_failed_start(self, chains: list[list[Job]], start: "asyncio.Task[None]") -> None:
        """End tasks whose start has failed: without an end the client would wait for ever."""
        error = None if start.cancelled() else start.exception()
        if start.cancelled() or error is not None:
            for (number, _), *_rest in chains:
                if number in self._running:
                    self.task_ended(number, Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error)))

    def _executor(self, type_: str) -> Executor:
        executor = self._executors.get(type_)
        if executor is None:
            if type_ == "exec":
                settings = RunSettings(grace=self._terms.grace)
                executor = ProcessExecutor(self._guardian, settings, measured=self._terms.measured)
            else:
                executor = SnippetExecutor(self._guardian)
            self._executors[type_] = executor
            executor.open(self)
        return executor

    def _end_task(self, number: int | None, force: bool) -> None:
        for executor in self._executors.values():
            executor.interrupt(number, force=force)

    def _return_queue(self, seat: _Seat) -> None:
        """Return the tasks that wait in a seat."""
        while seat.queue:
            self._tell(RETURNED, seat.number, seat.queue.popleft()[0][0], urgent=True)

    def _check_patience(self) -> None:
        """Return the tasks that wait behind a task that takes long."""
        self._checking = False
        now = self._loop.time()
        for seat in self.seats.values():
            if seat.queue:
                if now - seat.since > seat.patience:
                    self._return_queue(seat)
                else:
                    self._checking = True
        if self._checking:
            self._loop.call_later(_CHECK, self._check_patience)

    # Events of the executors

    @property
    def congested(self) -> bool:
        """Whether the client is behind."""
        return self._outbox.full

    def task_started(self, number: int, start: Start) -> None:  # noqa: ARG002
        """Tell the client, and start the task's time limit."""
        seat = self._running[number]
        self._deadlines.begin(number, seat.chain[0][1])
        self._tell(STARTED, seat.number, number)

    def tasks_ran(self, numbers: Sequence[int]) -> None:
        """Pass starts and ends on."""
        tell_each(self, numbers)

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Tell the client."""
        self._tell(OUTPUT, number, stream, data)

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Tell the client, and start the next task of the seat."""
        seat = self._running.pop(number, None)
        if seat is None:
            return
        if outcome is None and not self._interrupted:
            # The system refuses to start it for now.
            self._loop.call_later(_RETRY, self._start_next, seat)
            return
        chain, seat.chain = seat.chain, []
        if outcome is None:
            self._tell(RETURNED, seat.number, number, urgent=True)
            return
        outcome = self._deadlines.end(number, chain[0][1], outcome)
        continues = outcome.status is Status.OK and not self._interrupted and len(chain) > 1
        if continues and not seat.recalled:
            seat.chain = chain[1:]
        seconds = self._loop.time() - seat.since
        idle = not (seat.chain or seat.queue)
        self._tell(ENDED, seat.number, number, outcome, seconds, urgent=idle)
        if continues and seat.recalled:
            self._tell(RETURNED, seat.number, chain[1][0], urgent=True)
        if self._terms.fail_fast and outcome.status is Status.FAILED:
            self._unheard += 1
            self.recall()
        self._start_next(seat)

    def slots_changed(self) -> None:
        """Do nothing: only seats count."""

    def warning(self, text: str) -> None:
        """Tell the client, which shows it to the user."""
        self._tell(WARNING, text, urgent=True)

"""The one place where things happen: drains the ready queue, calls the observers, handles the signals.

Knows the scheduler and the protocols. Does not know how a task is run nor who watches.

A run in one picture::

    scheduler --chains--> create_task(executor.start) --> commands, snippets
        ^                                                       |
        |                                                       | started, output, ended
        +--------------------- Run, the Events <----------------+
                                     |
                                     +--> observers
"""

import asyncio
import functools
import math
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from fastrun.document.task import Task
from fastrun.outcome import Cause, Outcome, Report, Start, Status
from fastrun.plan.conditions import Skip
from fastrun.plan.graph import Graph
from fastrun.plan.scheduler import LONGEST_CHAIN, Phase, Scheduler
from fastrun.protocols import Executor, Job, Journal, Observer
from fastrun.runner.attempts import Attempts
from fastrun.runner.deadlines import Deadlines
from fastrun.settings import DEFAULTS, RunSettings

_RUNNING, _OK, _FAILED = Status.RUNNING, Status.OK, Status.FAILED

# Seconds after an interruption in which nothing is said of what still runs.
PATIENCE = 1.0

_HOOKS = ("run_started", "task_started", "task_output", "task_ended", "run_ended")


class Run:
    """One run of a graph. Is the ``Events`` of its executors. ``began``: whether any task may have started."""

    def __init__(
        self,
        graph: Graph,
        executors: dict[str, Executor],
        observers: Iterable[Observer],
        settings: RunSettings = DEFAULTS,
        *,
        journal: Journal | None = None,
        reused: Sequence[int] = (),
        lane_of: Callable[[Task], str] | None = None,
        before_stop: Callable[[], object] | None = None,
        warn: Callable[[str], None],
    ) -> None:
        """``executors``: by task type, or by what ``lane_of`` says of a task.

        ``journal``: what happens is recorded there. ``reused``: tasks that are ok and need not run, each behind all
        that it depends on. ``before_stop``: called before this process stops itself for a SIGTSTP. ``warn``: takes one
        line.
        """
        self._tasks = graph.tasks
        lanes = {type_: lane for lane, type_ in enumerate(executors)}
        if lane_of is None:
            of_tasks = bytes([lanes[task.type] for task in graph.tasks])
        else:
            of_tasks = bytes([lanes[lane_of(task)] for task in graph.tasks])
        # In a chain the next task runs before the end of the last is recorded.
        longest = LONGEST_CHAIN if journal is None else 1
        self._scheduler = Scheduler(
            graph, of_tasks, len(lanes), settings.keep_going, reused=reused, longest_chain=longest
        )
        self._reused = reused
        self._journal = journal
        # What has ended and is not recorded yet, with the number that the journal gave it. It counts as running, but
        # needs no slot: how many there are of each lane.
        self._unrecorded: dict[int, tuple[int, Outcome]] = {}
        self._ended = [0] * len(lanes)
        # How many of these have failed, with ``keep_going``.
        self._unrecorded_failures = 0
        # How often the executors were to give back what had not started.
        self._recalls = 0
        self._lanes = of_tasks
        self._executors = list(executors.values())
        self._has_timeouts = settings.timeout is not None or any(task.timeout is not None for task in graph.tasks)
        self._deadlines = Deadlines(settings.timeout, settings.grace, self._end_task)
        self._journal_error: OSError | None = None
        self._keep_going = settings.keep_going
        self._grace = settings.grace
        self._warn = warn
        self._before_stop = before_stop
        self.began = False
        # By number, of tasks of which there is more to say than the status.
        self._outcomes: dict[int, Outcome] = {}
        self._attempts = Attempts(graph.tasks, self._try_again)
        self._signal: int | None = None
        # Set by an interruption.
        self._timers: list[asyncio.TimerHandle] = []
        self._draining = False
        self._observers = list(observers)
        self._hooks = {hook: _implementations(self._observers, hook) for hook in _HOOKS}
        # Whether attempts have numbers other than 1 of 1, or tasks wait for a pool.
        self._numbers = bool(graph.special)

    async def run(self) -> Report:
        """Run everything. Returns once every task has ended and the executors are closed.

        Cancelling it interrupts the run as SIGINT does, a second time as the second SIGINT does, and raises
        CancelledError at the end.
        """
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()
        start = self._loop.time()
        if self._journal is not None:
            self._journal.open(functools.partial(self._loop.call_soon_threadsafe, self._drain_soon))
        self._notify("run_started", self._tasks)
        self._note(self._reused, _untried(Status.OK, Cause.FROM_JOURNAL))
        self._skip(self._scheduler.unneeded)
        for executor in self._executors:
            executor.open(self)
        self.began = True
        self._drain()
        cancelled = await self._shielded(self._finished)
        closing = asyncio.gather(*(executor.close() for executor in self._executors))
        cancelled = await self._shielded(closing) or cancelled
        for timer in self._timers:
            timer.cancel()
        self._close_tasks()
        report = Report(
            self._tasks,
            bytes(self._scheduler.statuses),
            self._outcomes,
            self._loop.time() - start,
            self._signal,
            len(self._reused),
            self._scheduler.allowed,
            self._scheduler.not_needed,
        )
        if self._journal is not None:
            try:
                self._journal.close(report)
            except OSError as error:
                self._not_recorded(error)
            report.recorded = self._journal_error is None
        self._notify("run_ended", report)
        if cancelled:
            raise asyncio.CancelledError
        return report

    def interrupt(self, signal_number: int = signal.SIGINT) -> None:
        """Start nothing more and end what runs: first with grace; the same signal again, or SIGINT, at once.

        Another second signal changes nothing: service managers send SIGHUP right behind SIGTERM.
        """
        if self._signal is None:
            self._signal = signal_number
            self._scheduler.enter(Phase.STOPPING)
            for executor in self._executors:
                executor.interrupt(force=False)
            self._timers = [
                self._loop.call_later(self._grace, self._force),
                self._loop.call_later(PATIENCE, self._say_what_is_waited_for),
            ]
            self._drain_soon()
        elif signal_number in (signal.SIGINT, self._signal):
            self._force()

    def suspend(self) -> None:
        """Stop the tasks and this process, as Ctrl-Z does, until it is continued. That time is nobody's timeout."""
        self._deadlines.pause()
        for executor in self._executors:
            executor.suspend(resume=False)
        if self._before_stop is not None:
            self._before_stop()
        # To this thread: what is sent to a process may come when this has gone on.
        signal.raise_signal(signal.SIGSTOP)
        for executor in self._executors:
            executor.suspend(resume=True)
        # In the loop's next turn: in this one it still has the time of before.
        self._loop.call_soon(self._deadlines.go_on)

    @property
    def congested(self) -> bool:
        """Whether an observer is behind. Not once everything is to end: what is left is bounded by then."""
        if self._scheduler.phase is Phase.KILLING:
            return False
        try:
            for observer in self._observers:
                if observer.congested:
                    return True
        except Exception:
            # Also called from the threads of snippets: it is a hook that is told, not this, that drops the observer.
            pass
        return False

    def task_started(self, number: int, start: Start) -> None:
        """Pass on to the observers; its time begins."""
        if self._has_timeouts:
            self._deadlines.begin(number, self._tasks[number])
        if self._numbers:
            start = self._attempts.started(number, start)
            if number in self._scheduler.pooled:
                start = start._replace(held_by="pool")
        if self._journal is not None:
            self._journal.task_started(number, start)
            self._drain_soon()
        self._notify("task_started", number, self._tasks[number], start)

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Pass on to the observers."""
        self._notify("task_output", number, self._tasks[number], stream, data)

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Note it, pass it on with the skips that follow from it, and look for more to start."""
        scheduler = self._scheduler
        if scheduler.statuses[number] != _RUNNING or number in self._unrecorded:
            # Its start failed half-way, and it was given up on.
            return
        if outcome is None:
            self._skip(scheduler.put_back(number))
            self._drain_soon()
            return
        if self._has_timeouts:
            outcome = self._deadlines.end(number, self._tasks[number], outcome)
        delay = self._delay(number, outcome) if outcome.status is _FAILED else None
        if self._numbers:
            outcome = self._attempts.ended(number, outcome)
        if delay is not None:
            self._hold(number, outcome, delay)
            return
        if self._journal is None:
            self._end(number, outcome)
        else:
            self._unrecorded[number] = (self._journal.task_ended(number, outcome), outcome)
            self._ended[self._lanes[number]] += 1
            self._drain_soon()
            if self._keep_going and outcome.status is _FAILED:
                # It may be the last failure: nothing starts before it is recorded and acted on.
                self._unrecorded_failures += 1
                self._recall()

    def _delay(self, number: int, outcome: Outcome) -> float | None:
        """Seconds until a task that has failed is tried again, None if it is not."""
        if self._scheduler.phase is not Phase.RUNNING:
            return None
        if outcome.lost:
            self._numbers = True
            return self._attempts.lost(number)
        # A snippet goes on when its time is over: the next attempt would run beside it.
        still_runs = outcome.cause is Cause.TIMEOUT and self._tasks[number].type == "eval"
        return None if still_runs else self._attempts.delay(number)

    def _hold(self, number: int, outcome: Outcome, delay: float) -> None:
        """Try a task again, later."""
        if self._journal is not None:
            self._journal.task_ended(number, outcome)
        self._attempts.hold(number, outcome, delay)
        self._scheduler.hold(number)
        self._drain_soon()
        self._notify("task_ended", number, self._tasks[number], outcome._replace(retry_in=delay))

    def _try_again(self, number: int) -> None:
        # What the last attempt left behind does not run beside the next.
        self._end_task(number, True)
        self._scheduler.release(number)
        self._drain_soon()

    def _end_task(self, number: int, force: bool) -> None:
        self._executors[self._lanes[number]].interrupt(number, force=force)

    def _end(self, number: int, outcome: Outcome) -> None:
        """Act on how a task has ended."""
        scheduler = self._scheduler
        if outcome.status is _FAILED and self._tasks[number].allow_failure:
            outcome = outcome._replace(allowed=True)
        if outcome.cause is not None or outcome.attempt > 1:
            self._outcomes[number] = outcome
        skipped = scheduler.task_ended(number, outcome.status)
        # Not within a chain, whose next task runs already, as the scheduler sees it.
        if scheduler.has_work or self._attempts.any_held:
            self._drain_soon()
        self._notify("task_ended", number, self._tasks[number], outcome)
        if skipped:
            self._skip(skipped)
        if outcome.status is _FAILED and scheduler.phase is not Phase.RUNNING:
            self._recall()

    def _recall(self) -> None:
        """Have back what executors, or starts of theirs that are about to run, have not started."""
        self._recalls += 1
        for executor in self._executors:
            executor.recall()

    def _skip(self, skipped: Iterable[int]) -> None:
        """Tell of tasks that are skipped, nearly all of them for the same reason."""
        last: Skip | None = None
        for number in skipped:
            skip = self._scheduler.skips[number]
            if skip is not last:
                last, outcome = skip, self._outcome_of(skip)
            self._note([number], outcome)
            if self._journal is not None:
                self._journal.task_ended(number, outcome)

    def _outcome_of(self, skip: Skip) -> Outcome:
        if skip.root is not None:
            return _untried(Status.SKIPPED, skip.cause, self._tasks[skip.root].label, skip.root)
        return _untried(Status.SKIPPED, skip.cause, self._keep_going)

    def _settle(self, journal: Journal) -> None:
        """Have the journal written, and act on the ends that it holds by now."""
        recorded = math.inf
        try:
            recorded = journal.flush()
        except OSError as error:
            # What has ended has ended, and is reported.
            self._not_recorded(error)
        unrecorded = self._unrecorded
        while unrecorded:
            number = next(iter(unrecorded))
            place, outcome = unrecorded[number]
            if place > recorded:
                break
            del unrecorded[number]
            self._ended[self._lanes[number]] -= 1
            self._unrecorded_failures -= bool(self._keep_going) and outcome.status is _FAILED
            self._end(number, outcome)

    def _not_recorded(self, error: OSError) -> None:
        """Start nothing more: nobody could go on from there."""
        if self._journal_error is None:
            self._journal_error = error
            self.warning(f"cannot write the journal: {error.strerror}; nothing more is started")
            self._scheduler.enter(Phase.STOPPING)
            self._recall()

    def slots_changed(self) -> None:
        """Look for more to start."""
        self._drain_soon()

    def warning(self, text: str) -> None:
        """Pass on to the user, who may have made errors of warnings: those do not end a run."""
        with suppress(Exception):
            self._warn(text)

    def _drain_soon(self) -> None:
        if not self._draining:
            self._draining = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        if self._journal is not None:
            self._settle(self._journal)
        scheduler = self._scheduler
        if self._attempts.any_held and scheduler.phase is not Phase.RUNNING:
            for number, outcome in self._attempts.give_up():
                self._end(number, outcome)
        self._draining = False
        tasks = self._tasks
        for lane, executor in enumerate(self._executors):
            free = self._free_slots(lane)
            if free <= 0 or self._unrecorded_failures:
                continue
            chains = [[(number, tasks[number]) for number in chain] for chain in scheduler.start(lane, free)]
            if self._attempts.any_again:
                chains = [[self._attempts.job(number) for number, _ in chain] for chain in chains]
            if chains:
                start = self._loop.create_task(self._start(executor, chains, self._recalls))
                start.add_done_callback(functools.partial(self._started, chains))
        if scheduler.finished and not self._finished.done():
            self._finished.set_result(None)

    def _free_slots(self, lane: int) -> int:
        """Return how many more tasks an executor takes. A task whose end is not recorded yet needs no slot."""
        return self._executors[lane].slots - self._scheduler.running[lane] + self._ended[lane]

    async def _start(self, executor: Executor, chains: list[list[Job]], recalls: int) -> None:
        """Start chains, unless there was a recall since they were chosen."""
        if recalls == self._recalls:
            await executor.start(chains)
            return
        for (number, _), *_ in chains:
            self.task_ended(number, None)

    def _started(self, chains: list[list[Job]], start: "asyncio.Task[None]") -> None:
        """Look after tasks whose start failed: without an end of theirs the run would wait for ever."""
        if start.cancelled():
            # By somebody who cancels all tasks of the loop, as asyncio.run does at its end.
            if self._signal is None:
                self.interrupt()
            outcome = Outcome(Status.INTERRUPTED)
        elif error := start.exception():
            self.warning(f"internal error: {error!r}")
            outcome = Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error))
        else:
            return
        for (number, _), *_ in chains:
            if self._scheduler.statuses[number] == Status.RUNNING:
                self.task_ended(number, outcome)

    def _close_tasks(self) -> None:
        """End the tasks that never started, so that each has ended in exactly one way."""
        outcome = _untried(Status.SKIPPED, Cause.TOO_MANY_FAILURES, self._keep_going)
        if self._signal is not None:
            outcome = _untried(Status.INTERRUPTED)
        elif self._journal_error is not None:
            outcome = _untried(Status.SKIPPED, Cause.NO_JOURNAL)
        self._note(self._scheduler.close(outcome.status), outcome)

    def _note(self, numbers: Iterable[int], outcome: Outcome) -> None:
        for number in numbers:
            if outcome.cause is not None:
                self._outcomes[number] = outcome
            self._notify("task_ended", number, self._tasks[number], outcome)

    def _say_what_is_waited_for(self) -> None:
        running = sum(self._scheduler.running)
        if running and self._scheduler.phase is not Phase.KILLING:
            tasks = f"{running:,} task{'s' * (running != 1)}"
            left = self._grace - PATIENCE
            self.warning(f"waiting for {tasks} to end, {left:g} s more at the most; the same signal again kills them")

    def _force(self) -> None:
        self._scheduler.enter(Phase.KILLING)
        for executor in self._executors:
            executor.interrupt(force=True)

    async def _shielded(self, future: asyncio.Future[Any]) -> bool:
        """Wait for a future to its end. Returns whether this was cancelled meanwhile."""
        cancelled = False
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError:
                cancelled = True
                self.interrupt()
        future.result()
        return cancelled

    def _notify(self, hook: str, *arguments: Any) -> None:
        for observer, method in self._hooks[hook]:
            try:
                method(*arguments)
            except Exception as error:
                self._drop(observer, error)

    def _drop(self, observer: Observer, error: Exception) -> None:
        self._observers.remove(observer)
        self._hooks = {hook: _implementations(self._observers, hook) for hook in _HOOKS}
        self.warning(f"{type(observer).__name__} failed and no longer watches: {error!r}")


def _untried(status: Status, cause: Cause | None = None, detail: str | int = "", root: int | None = None) -> Outcome:
    """The outcome of a task that was not tried."""
    return Outcome(status, cause, detail, root, attempt=0, attempts=0)


def _implementations(observers: Sequence[Observer], hook: str) -> list[tuple[Observer, Callable[..., None]]]:
    """The observers that override a hook, each with its method."""
    return [
        (observer, getattr(observer, hook))
        for observer in observers
        if getattr(type(observer), hook, None) is not getattr(Observer, hook)
    ]

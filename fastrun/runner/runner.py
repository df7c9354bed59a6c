"""One run of a graph, from its first task to its report.

Starts ready tasks, acts on how tasks end and interrupts them. Knows the scheduler and the protocols; not how tasks are
run, nor what observers do.

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from fastrun.document.task import Task
from fastrun.outcome import OK, Cause, Outcome, Report, Start, Status, untried
from fastrun.plan.conditions import Skip
from fastrun.plan.graph import Graph
from fastrun.plan.scheduler import Phase, Scheduler
from fastrun.protocols import Executor, Job, Journal, Observer, tell_each
from fastrun.runner.attempts import Attempts
from fastrun.runner.deadlines import Deadlines
from fastrun.runner.hooks import Hooks
from fastrun.runner.interruption import Interruption
from fastrun.runner.unrecorded import Unrecorded
from fastrun.settings import DEFAULTS, RunSettings

_OK, _FAILED, _INTERRUPTED = Status.OK, Status.FAILED, Status.INTERRUPTED
# Compared with a byte, an int takes half as long as a member of an enum.
_RUNNING = int(Status.RUNNING)


class Run:
    """One run of a graph, and the ``Events`` of its executors. ``began``: whether any task may have started."""

    def __init__(
        self,
        graph: Graph,
        executors: dict[str, Executor],
        observers: Iterable[Observer],
        settings: RunSettings = DEFAULTS,
        *,
        journal: Journal | None = None,
        reused: Sequence[int] = (),
        reused_as: Cause = Cause.FROM_JOURNAL,
        why: Mapping[int, str] | None = None,
        lane_of: Callable[[Task], str] | None = None,
        before_stop: Callable[[], object] | None = None,
        warn: Callable[[str], None],
    ) -> None:
        """``executors``: by lane. ``lane_of``: gives the lane of a task; without it, that is the task's type.

        ``journal``: records what happens. ``reused``: tasks that are ok and need not run, each behind all that it
        depends on, and ``reused_as`` the cause. ``why``: by task that runs, the reason, where some do not; it may grow.
        ``before_stop``: called before this process stops itself for a SIGTSTP. ``warn``: takes one line.
        """
        names = {name: lane for lane, name in enumerate(executors)}
        lanes = bytes([names[task.type if lane_of is None else lane_of(task)] for task in graph.tasks])
        # In a chain the next task runs before the end of the last is recorded, or its files are looked at.
        chains = journal is None and not graph.with_files
        longest = [executor.longest_chain if chains else 1 for executor in executors.values()]
        self._tasks, self._location = graph.tasks, graph.location
        self._lanes = lanes
        self._executors = list(executors.values())
        self._keep_going = settings.keep_going
        self._scheduler = Scheduler(
            graph, lanes, len(executors), self._keep_going, reused=reused, longest_chains=longest
        )
        self._reused = reused
        self._reused_as = reused_as
        # How many tasks are ok without running.
        self._reused_count = len(reused)
        self._why = why
        self._journal = journal
        self._journal_error: OSError | None = None
        self._unrecorded = Unrecorded(lanes, len(executors))
        # How often the executors were told to give back tasks that had not started.
        self._recalls = 0
        self._has_timeouts = settings.timeout is not None or any(task.timeout is not None for task in graph.tasks)
        self._deadlines = Deadlines(settings.timeout, settings.grace, self._end_task)
        self._max_time = settings.max_time
        self._interruption = Interruption(settings.grace, self._end_tasks, self._asked_to_end, self.warning)
        self._warn = warn
        self._before_stop = before_stop
        self.began = False
        # By task, its outcome, where there is more to say than the status.
        self._outcomes: dict[int, Outcome] = {}
        self._attempts = Attempts(graph.tasks, settings, self._try_again)
        self._draining = False
        self._hooks = Hooks(observers, self.warning)
        # Whether attempts have numbers other than 1 of 1, or tasks wait for a pool.
        self._numbers = bool(graph.special)

    async def run(self) -> Report:
        """Run all tasks. Return once every task has ended and the executors are closed.

        A cancellation interrupts the run like SIGINT, a second one like a second SIGINT. CancelledError is raised at
        the end of the run.
        """
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()
        start = self._loop.time()
        if self._max_time is not None:
            self._deadlines.begin_run(self._max_time, self._interruption.by_time)
        if self._journal is not None:
            self._journal.open(functools.partial(self._loop.call_soon_threadsafe, self._drain_soon))
        self._hooks.call("run_started", self._tasks)
        self._note(self._reused, untried(Status.OK, self._reused_as))
        self._skip(self._scheduler.unneeded)
        for executor in self._executors:
            executor.open(self)
        self.began = True
        self._drain()
        cancelled = await self._shielded(self._finished)
        closing = asyncio.gather(*(executor.close() for executor in self._executors))
        cancelled = await self._shielded(closing) or cancelled
        self._deadlines.end_run()
        self._interruption.over()
        self._close_tasks()
        report = Report(
            self._tasks,
            bytes(self._scheduler.statuses),
            self._outcomes,
            self._loop.time() - start,
            self._interruption.signal,
            self._reused_count,
            self._reused_as,
            self._scheduler.allowed,
            self._scheduler.not_needed,
            self._location,
            self._interruption.timed_out,
        )
        if self._journal is not None:
            try:
                self._journal.close(report)
            except OSError as error:
                self._not_recorded(error)
            report.recorded = self._journal_error is None
        self._hooks.call("run_ended", report)
        if cancelled:
            raise asyncio.CancelledError
        return report

    def interrupt(self, signal_number: int = signal.SIGINT) -> None:
        """Start nothing more, and ask running tasks to end. The same signal again, or SIGINT, makes them."""
        self._interruption.by_signal(signal_number)

    def suspend(self) -> None:
        """Stop the tasks and this process, as Ctrl-Z does, until it is continued. No timeout counts that time."""
        self._deadlines.pause()
        for executor in self._executors:
            executor.suspend(resume=False)
        if self._before_stop is not None:
            self._before_stop()
        # To this thread: a signal to the process may arrive when this thread has gone on.
        signal.raise_signal(signal.SIGSTOP)
        for executor in self._executors:
            executor.suspend(resume=True)
        # In the loop's next turn: in this turn the loop's clock still shows the time before the stop.
        self._loop.call_soon(self._deadlines.go_on)

    @property
    def congested(self) -> bool:
        """Return whether an observer is behind. In the last phase none counts: what is left to print is bounded."""
        return self._scheduler.phase is not Phase.KILLING and self._hooks.congested

    def task_started(self, number: int, start: Start) -> None:
        """Tell the observers and the journal. The time of the task begins."""
        if self._has_timeouts:
            self._deadlines.begin(number, self._tasks[number])
        if self._numbers:
            start = self._attempts.started(number, start)
            if number in self._scheduler.pooled:
                start = start._replace(held_by="pool")
        if self._why is not None and start.attempt == 1:
            start = start._replace(why=self._why.get(number, ""))
        if self._journal is not None:
            self._journal.task_started(number, start)
            self._drain_soon()
        self._hooks.tell("task_started", number, self._tasks[number], start)

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Tell the observers."""
        self._hooks.call("task_output", number, self._tasks[number], stream, data)

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Act on the end of a task, at once or when it is recorded, and start what becomes ready."""
        scheduler = self._scheduler
        if scheduler.statuses[number] != _RUNNING or number in self._unrecorded.ends:
            # Its start failed half-way, and the run gave up on it.
            return
        if outcome is None:
            self._skip(scheduler.put_back(number))
            self._drain_soon()
            return
        if self._has_timeouts:
            outcome = self._deadlines.end(number, self._tasks[number], outcome)
        delay = None
        if outcome is not OK and outcome.status is _FAILED and scheduler.phase is Phase.RUNNING:
            self._numbers = self._numbers or outcome.lost
            delay = self._attempts.delay(number, outcome)
        if self._numbers and outcome.attempt:
            outcome = self._attempts.ended(number, outcome)
        if delay is not None:
            self._hold(number, outcome, delay)
            return
        if self._journal is None:
            self._end(number, outcome)
        else:
            self._unrecorded.add(number, self._journal.task_ended(number, outcome), outcome)
            self._drain_soon()
            if self._keep_going and outcome.status is _FAILED:
                # It may be one failure too many: nothing starts before it is recorded and acted on.
                self._recall()

    def tasks_ran(self, numbers: Sequence[int]) -> None:
        """Tell the observers at once, where there is nothing else to do for each task."""
        if self._has_timeouts or self._numbers or self._why is not None or self._journal is not None:
            tell_each(self, numbers)
            return
        scheduler = self._scheduler
        told = []
        for number in numbers:
            # Else its start failed half-way, and the run gave up on it.
            if scheduler.statuses[number] == _RUNNING:
                scheduler.task_ended(number, _OK)
                told.append(number)
        if scheduler.has_work:
            self._drain_soon()
        self._hooks.call("tasks_ran", told, self._tasks)

    def _hold(self, number: int, outcome: Outcome, delay: float) -> None:
        """Let a task wait for its next attempt."""
        if self._journal is not None:
            self._journal.task_ended(number, outcome)
        self._attempts.hold(number, outcome, delay)
        self._scheduler.hold(number)
        self._drain_soon()
        self._hooks.tell("task_ended", number, self._tasks[number], outcome._replace(retry_in=delay))

    def _try_again(self, number: int) -> None:
        # Processes that the last attempt left behind must not run beside the next.
        self._deadlines.forget(number)
        self._end_task(number, True)
        self._scheduler.release(number)
        self._drain_soon()

    def _end_task(self, number: int, force: bool) -> None:
        self._executors[self._lanes[number]].interrupt(number, force=force)

    def _end(self, number: int, outcome: Outcome) -> None:
        """Act on how a task has ended: tell the observers, and skip the tasks that cannot run any more."""
        scheduler = self._scheduler
        if outcome is not OK:
            if outcome.status is _FAILED and self._tasks[number].allow_failure:
                outcome = outcome._replace(allowed=True)
            if outcome.cause is not None or outcome.attempt > 1 or outcome.status is _INTERRUPTED:
                self._outcomes[number] = outcome
                self._reused_count += outcome.cause is self._reused_as
        skipped = scheduler.task_ended(number, outcome.status)
        # Not within a chain: the scheduler counts its next task as running already.
        if not self._draining and (scheduler.has_work or self._attempts.any_held):
            self._drain_soon()
        self._hooks.tell("task_ended", number, self._tasks[number], outcome)
        if skipped:
            self._skip(skipped)
        if outcome is not OK and outcome.status is _FAILED and scheduler.phase is not Phase.RUNNING:
            self._recall()

    def _recall(self) -> None:
        """Take back the tasks that executors, or starts that are about to run, have not started."""
        self._recalls += 1
        for executor in self._executors:
            executor.recall()

    def _skip(self, skipped: Iterable[int]) -> None:
        """End tasks that are skipped, nearly all of them for the same reason."""
        last: Skip | None = None
        for number in skipped:
            skip = self._scheduler.skips[number]
            if skip is not last:
                last = skip
                detail = self._keep_going if skip.root is None else self._tasks[skip.root].label
                outcome = untried(Status.SKIPPED, skip.cause, detail, skip.root)
            self._note([number], outcome)
            if self._journal is not None:
                self._journal.task_ended(number, outcome)

    def _settle(self, journal: Journal) -> None:
        """Write the journal, and act on the ends that it has recorded by now."""
        recorded = math.inf
        try:
            recorded = journal.flush()
        except OSError as error:
            # The tasks have ended all the same, and are reported.
            self._not_recorded(error)
        for number, outcome in self._unrecorded.take(recorded):
            self._end(number, outcome)

    def _not_recorded(self, error: OSError) -> None:
        """Start nothing more: no later run could go on from there."""
        if self._journal_error is None:
            self._journal_error = error
            self.warning(f"cannot write the journal: {error.strerror}; nothing more is started")
            self._scheduler.enter(Phase.STOPPING)
            self._recall()

    def slots_changed(self) -> None:
        """Look for more to start."""
        self._drain_soon()

    def warning(self, text: str) -> None:
        """Tell the user. The user may have made errors of warnings: such an error does not end the run."""
        with suppress(Exception):
            self._warn(text)

    def _drain_soon(self) -> None:
        if not self._draining:
            self._loop.call_soon(self._drain)
            self._draining = True

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
            # A task whose end is not recorded yet counts as running, but needs no slot.
            free = executor.slots - scheduler.running[lane] + self._unrecorded.in_lane[lane]
            if free <= 0 or (self._keep_going and self._unrecorded.failures):
                continue
            chains = [[(number, tasks[number]) for number in chain] for chain in scheduler.start(lane, free)]
            if self._attempts.any_again:
                chains = [[self._attempts.job(number) for number, _ in chain] for chain in chains]
            if chains:
                start = self._loop.create_task(self._start(executor, chains, self._recalls))
                start.add_done_callback(functools.partial(self._started, chains))
        if scheduler.finished and not self._finished.done():
            self._finished.set_result(None)

    async def _start(self, executor: Executor, chains: list[list[Job]], recalls: int) -> None:
        """Start chains, unless there was a recall since they were chosen."""
        if recalls == self._recalls:
            await executor.start(chains)
            return
        for (number, _), *_ in chains:
            self.task_ended(number, None)

    def _started(self, chains: list[list[Job]], start: "asyncio.Task[None]") -> None:
        """End tasks whose start failed: without an end the run would wait for them for ever."""
        if start.cancelled():
            # Code that cancels all tasks of the loop does this, asyncio.run at its end for example.
            if not self._interruption.begun:
                self.interrupt()
            outcome = Outcome(Status.INTERRUPTED)
        elif error := start.exception():
            self.warning(f"internal error of fastrun: {error!r}")
            outcome = Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error))
        else:
            return
        for (number, _), *_ in chains:
            self.task_ended(number, outcome)

    def _close_tasks(self) -> None:
        """End the tasks that never started, so that each has ended in exactly one way."""
        outcome = untried(Status.SKIPPED, Cause.TOO_MANY_FAILURES, self._keep_going)
        if self._interruption.begun:
            outcome = untried(Status.INTERRUPTED)
        elif self._journal_error is not None:
            outcome = untried(Status.SKIPPED, Cause.NO_JOURNAL)
        left = self._scheduler.close(outcome.status)
        if not self._attempts.any_again:
            self._note(left, outcome)
            return
        for number in left:
            self._note([number], self._attempts.broken_off(number, outcome))

    def _note(self, numbers: Iterable[int], outcome: Outcome) -> None:
        for number in numbers:
            if outcome.cause is not None or outcome.attempt:
                self._outcomes[number] = outcome
            self._hooks.tell("task_ended", number, self._tasks[number], outcome)

    def _end_tasks(self, force: bool) -> None:
        """Start nothing more, and ask all tasks to end or, with ``force``, make them."""
        self._scheduler.enter(Phase.KILLING if force else Phase.STOPPING)
        for executor in self._executors:
            executor.interrupt(force=force)
        self._drain_soon()

    def _asked_to_end(self) -> int:
        """Return how many tasks still run that were asked to end, and not yet made to."""
        return 0 if self._scheduler.phase is Phase.KILLING else sum(self._scheduler.running)

    async def _shielded(self, future: asyncio.Future[Any]) -> bool:
        """Wait for a future to its end. Return whether this was cancelled meanwhile."""
        cancelled = False
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError:
                cancelled = True
                self.interrupt()
        future.result()
        return cancelled

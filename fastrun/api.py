"""fastrun as a library: makes runs of documents.

Names the concrete executors, as ``cli`` names the concrete observers; no room below does.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.limits import processors
from fastrun.executors.present import end_with_run
from fastrun.executors.snippets.executor import SnippetExecutor
from fastrun.loading import Input, is_in_makefile, load_graph, settings_for, warn_python
from fastrun.outcome import Cause, Report
from fastrun.plan.graph import Graph
from fastrun.plan.lanes import lanes_of
from fastrun.protocols import Executor, Observer
from fastrun.runner.runner import Run
from fastrun.settings import Options, RunSettings
from fastrun.threads import Thread

if TYPE_CHECKING:
    from fastrun.cluster.connection import DaskCluster
    from fastrun.executors.gates.admission import Admission
    from fastrun.executors.gates.gates import Gates
    from fastrun.journal.recording import RunJournal
    from fastrun.journal.resume import Plan
    from fastrun.plan.selection import Selection
    from fastrun.runner.signals import Signals
    from fastrun.uptodate.executor import Decisions


async def run_async(
    source: Input,
    *,
    select: "Selection | None" = None,
    shuffle: int | None = None,
    observers: Iterable[Observer] = (),
    keep_output: int = 0,
    **settings: Unpack[Options],
) -> Report:
    """Run a document inside the running loop, any loop, and return the report.

    ``source``: as for ``load``.
    ``select``: run only these tasks. ``shuffle``: a seed; tasks that are ready start in a random order.
    ``observers``: told what happens; without observers nothing is printed, see ``Console``.
    ``keep_output``: keep so many bytes of the end of what each task prints, for ``Result.output``.
    ``settings``: see ``RunSettings``; ``jobs`` may be ``"auto"``. What is not given is taken from the document.

    Cancelling it ends the tasks, with grace, and raises CancelledError then; cancelling it twice ends them at
    once. Raises, before anything starts, SpecError or OSError if the document cannot be run or read, JournalError or
    OSError if the journal or the cluster cannot be used, and ValueError or TypeError for arguments that make no sense.
    Warnings, such as an observer that failed, are RuntimeWarnings.
    """
    graph = load_graph(source)
    if select is not None:
        from fastrun.plan.selection import part_of  # which a plain run does not need
        from fastrun.plan.selection import select as numbers_of

        graph = part_of(graph, numbers_of(graph, select))
    if shuffle is not None:
        graph.shuffle(shuffle)
    if keep_output < 0:
        raise ValueError(f"keep_output must be 0 or more, not {keep_output}")
    from fastrun.observers.measures import Measuring, MeasuringOutput  # which the command line does without

    measuring = MeasuringOutput(keep_output) if keep_output else Measuring()
    setup = set_up(graph, settings_for(graph, settings), warn_python)
    return await setup.watched_by(chain([measuring], observers)).to_end()


def run(
    source: Input,
    *,
    select: "Selection | None" = None,
    shuffle: int | None = None,
    observers: Iterable[Observer] = (),
    keep_output: int = 0,
    **settings: Unpack[Options],
) -> Report:
    """Run a document to its end and return the report. Arguments and errors as for ``run_async``.

    Runs on uvloop; where this thread's loop is running already, in a thread of its own, and that loop waits.
    """
    import uvloop  # run_async works on any loop

    def main() -> Coroutine[Any, Any, Report]:
        return run_async(
            source, select=select, shuffle=shuffle, observers=observers, keep_output=keep_output, **settings
        )

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return uvloop.run(main())
    return _run_in_a_thread(main)


def _run_in_a_thread(main: Callable[[], Coroutine[Any, Any, Report]]) -> Report:
    """Run a coroutine on a uvloop of its own, beside the loop of this thread, which waits."""
    import uvloop  # which is loaded by now

    reports: list[Report] = []
    errors: list[BaseException] = []
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def noted() -> Report:
        task = asyncio.current_task()
        if task is not None:
            tasks.append((asyncio.get_running_loop(), task))
        return await main()

    def work() -> None:
        try:
            reports.append(uvloop.run(noted()))
        except BaseException as error:
            errors.append(error)

    thread = Thread(work, "fastrun-run", daemon=False)
    thread.start()
    try:
        thread.join()
    except BaseException:
        # Ctrl-C: the run is told, and ends its tasks first.
        while thread.is_alive():
            with suppress(RuntimeError, KeyboardInterrupt):
                for loop, task in tasks:
                    loop.call_soon_threadsafe(task.cancel)
                thread.join()
        raise
    if errors:
        raise errors[0]
    return reports[0]


def new_run_id() -> str:
    """Return what tells a run from all others."""
    return os.urandom(8).hex()


class Prepared(NamedTuple):
    """A run that can be started, once. ``cluster``: what is connected to before."""

    setup: "Setup"
    run: Run
    cluster: "DaskCluster | None" = None

    async def to_end(self, signals: "Signals | None" = None) -> Report:
        """Run it and return the report. ``signals``: let them interrupt it, in a process that ends with the run.

        Raises ClusterError, an OSError, with nothing started.
        """
        if self.cluster is not None:
            try:
                await self.cluster.connect()
            except BaseException:
                self.setup.abandon()
                raise
        if signals is not None:
            end_with_run()
            signals.handle()
        try:
            return await self.run.run()
        finally:
            if self.cluster is not None:
                # Where no task was for it, no executor has closed it.
                await self.cluster.close()
            self.setup.give_back()
            if signals is not None:
                signals.run_ended()


class Setup(NamedTuple):
    """What a run needs before it is known what watches it: ``watched_by`` makes the run.

    ``gates``: closed by the run itself, unless that is broken off. ``memory``: has commands wait for it. ``plan``:
    with a journal, what is not run again. ``decisions``: where tasks name their files.
    """

    graph: Graph
    settings: RunSettings
    warn: Callable[[str], None]
    guardian: Guardian
    gates: "Gates | None" = None
    memory: "Admission | None" = None
    journal: "RunJournal | None" = None
    plan: "Plan | None" = None
    decisions: "Decisions | None" = None

    def watched_by(self, observers: Iterable[Observer], before_stop: Callable[[], object] | None = None) -> Prepared:
        """Return the run, which can be started. ``before_stop``: called before SIGTSTP stops this process.

        Raises ValueError or ClusterError, an OSError, if the cluster cannot be used.
        """
        settings = self.settings
        try:
            watching = list(observers)
            # Each is asked: a thing that is no observer is found before anything starts.
            measured = True in [observer.detailed for observer in watching]
            one_pipe = any(observer.one_stream for observer in watching)
            executors: dict[str, Executor] = {
                "exec": ProcessExecutor(
                    self.guardian,
                    settings,
                    measured=measured or (self.memory is not None and self.journal is not None),
                    one_pipe=one_pipe,
                    gates=self.gates,
                    memory=self.memory,
                ),
                "eval": SnippetExecutor(self.guardian, settings),
            }
            cluster, lane_of = None, lanes_of(self.graph, settings)
            if settings.cluster is not None:
                from fastrun.cluster.connection import DaskCluster
                from fastrun.cluster.lanes import add_lanes

                cluster = DaskCluster(settings.cluster, settings, self.guardian.run_id, measured=measured)
                lane_of = add_lanes(executors, self.graph.tasks, cluster, settings)
            decisions = self.decisions
            if decisions is not None:
                from fastrun.uptodate.executor import UpToDateExecutor

                count = processors()
                executors = {lane: UpToDateExecutor(each, decisions, count) for lane, each in executors.items()}
        except BaseException:
            self.abandon()
            raise
        run = Run(
            self.graph,
            executors,
            watching,
            settings,
            journal=self.journal,
            reused=self.plan.reused if self.plan is not None else (),
            reused_as=Cause.UP_TO_DATE if settings.update else Cause.FROM_JOURNAL,
            why=self.plan.why if self.plan is not None and (settings.resume or settings.update) else None,
            lane_of=lane_of,
            before_stop=before_stop,
            warn=self.warn,
        )
        return Prepared(self, run, cluster)

    def held_by(self) -> str | None:
        """Return what delays tasks that are ready, see ``Start``; None if only the number of slots does."""
        if self.memory is not None and self.memory.holds_up():
            return "memory"
        return None if self.gates is None else self.gates.holds_up()

    def give_back(self) -> None:
        """Close what the run does not close, once it is over."""
        if self.gates is not None:
            self.gates.close()
        self.guardian.stop()

    def abandon(self) -> None:
        """Give everything back: there will be no run."""
        if self.journal is not None:
            self.journal.abandon()
        self.give_back()


def set_up(graph: Graph, settings: RunSettings, warn: Callable[[str], None], run_id: str | None = None) -> Setup:
    """Return what a run of a graph needs. ``warn``: takes one line. ``run_id``: None for a new one.

    Raises ValueError for settings that make no sense, JournalError or OSError if the journal cannot be used.
    """
    settings.check()
    if settings.cluster is not None:
        from fastrun.cluster.address import check  # which a run on one machine does not need

        check(settings.cluster)
    guardian = Guardian(run_id or new_run_id(), wanted=settings.guardian)
    setup = Setup(graph, settings, warn, guardian)
    try:
        setup = setup._replace(gates=_gates(guardian, settings, warn))
        if settings.journal is not None:
            from fastrun.journal.recovery import begin  # which a run without a journal does not need

            beginning = begin(graph, os.fspath(settings.journal), settings, guardian.run_id, warn)
            setup = setup._replace(**beginning._asdict())
        elif graph.with_files:
            from fastrun.uptodate.executor import unrecorded

            setup = setup._replace(decisions=unrecorded(graph))
        if settings.memory != 0 and (len(graph) > 1 or graph.special):
            # One command alone never waits, but may ask for too much.
            from fastrun.executors.gates.admission import admission

            recorded = {} if setup.plan is None else setup.plan.memory
            setup = setup._replace(memory=admission(graph, settings, recorded))
    except BaseException:
        setup.give_back()
        raise
    return setup


def _gates(guardian: Guardian, settings: RunSettings, warn: Callable[[str], None]) -> "Gates | None":
    """Return what decides beside ``jobs`` whether a command may start; a plain run has none, and does not load them."""
    wanted = (settings.load, settings.min_memory, settings.jobserver) != (None, None, None)
    if not wanted and not is_in_makefile():
        return None
    from fastrun.executors.gates.gates import make_gates

    return make_gates(guardian, settings, warn)

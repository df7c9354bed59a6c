"""fastrun as a library: reads documents and runs them.

Names the concrete executors, as ``cli`` names the concrete observers; nothing below does.
"""

import asyncio
import functools
import os
import threading
import warnings
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

from fastrun.collector import collector_off
from fastrun.document.parse import parse, read
from fastrun.document.task import Document, Task
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.snippets.executor import DEFAULT_THREADS, SnippetExecutor
from fastrun.executors.snippets.streams import keep_streams
from fastrun.outcome import Report
from fastrun.plan.graph import Graph, build
from fastrun.protocols import Executor, Observer
from fastrun.runner.runner import Run

if TYPE_CHECKING:
    from fastrun.cluster.connection import DaskCluster
    from fastrun.executors.gates.gates import Gates
    from fastrun.journal.recording import RunJournal
    from fastrun.journal.recovery import Journaling
    from fastrun.journal.resume import Plan
    from fastrun.plan.selection import Selection
    from fastrun.runner.signals import Signals

# How often a task runs again whose worker was lost, where nothing else is said.
WORKER_RETRIES = 2

_P = ParamSpec("_P")

# A path, a parsed document or tasks.
Input = str | os.PathLike[str] | Mapping[str, Any] | Iterable[Task]


class Tasks(list[Task]):
    """The tasks of a document in their order. ``pools``: how many of each of its pools may run at once."""

    def __init__(self, tasks: Iterable[Task] = (), pools: Mapping[str, int] | None = None) -> None:
        super().__init__(tasks)
        self.pools = dict(pools or {})


def load(source: Input) -> Tasks:
    """Read and check a document: a path (``"-"`` for standard input), a dict as JSON would give, or tasks.

    Returns its tasks, which may be run. Raises SpecError if it cannot be run, OSError if it cannot be read.
    """
    graph = load_graph(source)
    return Tasks(graph.tasks, graph.pools)


async def run_async(
    source: Input,
    *,
    jobs: int | None = None,
    eval_threads: int | None = None,
    keep_going: int = 0,
    grace: float = 5.0,
    timeout: float | None = None,  # noqa: ASYNC109  # of each task, not of this call
    load: float | None = None,
    min_memory: int | None = None,
    jobserver: str | None = None,
    guardian: bool = True,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = False,
    rerun: Collection[str] = (),
    durable: bool = False,
    select: "Selection | None" = None,
    shuffle: int | None = None,
    cluster: str | None = None,
    worker_retries: int = WORKER_RETRIES,
    observers: Iterable[Observer] = (),
) -> Report:
    """Run a document inside the running loop, any loop, and return the report.

    ``source``: as for ``load``.
    ``jobs``: at most so many commands at once; None for what the system grants.
    ``eval_threads``: at most so many snippets at once; None for the default, 64.
    ``keep_going``: start nothing more after so many failures; 0 for never.
    ``grace``: seconds between asking tasks to end and ending them, when the run is cancelled or their time is over.
    ``timeout``: seconds that a task may take which has none of its own; None for ever.
    ``load``: while the machine's load is above it, and a command runs, no other starts. ``min_memory``: nor while
    fewer bytes of memory are available.
    ``jobserver``: share the limit ``jobs`` (or the number of processors) with make and others that commands call, by a
    ``"fifo"``, a ``"pipe"`` or, ``"auto"``, what make can read. A run that make has started, without ``jobs``, shares
    make's limit.
    ``guardian``: have a small process end the tasks' processes if this one is killed.
    ``journal``: a file that the run is recorded in, and that no run was recorded in before unless with ``resume``: then
    tasks that it has as ok, and that have not changed since, are ok without running, unless ``rerun`` names them.
    ``durable``: nothing starts before what it depends on is recorded on the disk.
    ``select``: run only these tasks. ``shuffle``: a seed; tasks that are ready start in a random order.
    ``cluster``: run commands there: the address of a Dask scheduler, its file, or ``local`` or ``local:N`` for N
    processes on this machine. ``worker_retries``: how often a task runs again whose worker was lost.
    ``observers``: who is told what happens; nothing is printed without one, see ``Console``.

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
    prepared = prepare(
        graph,
        jobs=jobs,
        eval_threads=eval_threads,
        keep_going=keep_going,
        grace=grace,
        timeout=timeout,
        load=load,
        min_memory=min_memory,
        jobserver=jobserver,
        guardian=guardian,
        observers=observers,
        journaling=journaling(journal, resume=resume, rerun=rerun, durable=durable),
        cluster=cluster,
        worker_retries=worker_retries,
        warn=_warn,
    )
    return await prepared.to_end()


def _with_parameters_of(
    model: Callable[_P, Coroutine[Any, Any, Report]],
) -> Callable[[Callable[..., Report]], Callable[_P, Report]]:
    """Tell type checkers, editors and ``help`` that a function takes what another takes."""
    return functools.partial(functools.update_wrapper, wrapped=model, assigned=(), updated=())


@_with_parameters_of(run_async)
def run(source: Input, **options: Any) -> Report:
    """Run a document to its end and return the report. Options and errors as for ``run_async``.

    Runs on uvloop; where this thread's loop is running already, in a thread of its own, and that loop waits.
    """
    import uvloop  # run_async works on any loop

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return uvloop.run(run_async(source, **options))
    reports: list[Report] = []
    errors: list[BaseException] = []

    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> Report:
        task = asyncio.current_task()
        if task is not None:
            tasks.append((asyncio.get_running_loop(), task))
        return await run_async(source, **options)

    def work() -> None:
        try:
            reports.append(uvloop.run(main()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="fastrun-run")
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


def load_graph(source: Input, warn: Callable[[str], None] | None = None) -> Graph:
    """As ``load``, but returns the graph. ``warn``: takes the lines about keys that are ignored."""
    with collector_off():
        document = _read(source)
        for line in document.warnings:
            (warn or _warn)(line)
        return build(document)


def prepare(
    graph: Graph,
    *,
    jobs: int | None,
    eval_threads: int | None,
    keep_going: int,
    grace: float,
    timeout: float | None,
    load: float | None,
    min_memory: int | None,
    jobserver: str | None,
    guardian: bool,
    observers: Iterable[Observer],
    journaling: "Journaling | None",
    cluster: str | None = None,
    worker_retries: int = WORKER_RETRIES,
    warn: Callable[[str], None],
    run_id: str | None = None,
) -> "Prepared":
    """Make a run of a graph. Raises ValueError for options that make no sense; they are those of ``run_async``.

    ``run_id``: by which its commands know it, see ``new_run_id``; one of its own without it. Raises JournalError or
    OSError if the journal cannot be used, ClusterError, an OSError, if the cluster cannot.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be 1 or more, not {jobs}")
    if eval_threads is not None and eval_threads < 1:
        raise ValueError(f"eval_threads must be 1 or more, not {eval_threads}")
    if keep_going < 0 or not grace >= 0:
        raise ValueError("keep_going and grace must be 0 or more")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be more than 0, not {timeout}")
    if cluster is not None:
        from fastrun.cluster.address import check  # which a run on one machine does not need

        check(cluster)
    run_id = run_id or new_run_id()
    guard = Guardian(run_id, wanted=guardian)
    gates, journal, plan = None, None, None
    try:
        gates = _gates(guard, jobs, load, min_memory, jobserver, warn)
        if journaling is not None:
            from fastrun.journal.recovery import begin  # which a plain run does not need

            journal, plan = begin(graph, journaling, run_id, warn)
    except BaseException:
        _give_back(guard, gates)
        raise
    watching = list(observers)
    measured = any(observer.detailed for observer in watching)
    executors: dict[str, Executor] = {
        "exec": ProcessExecutor(guard, jobs, grace=grace, measured=measured, gates=gates),
        "eval": SnippetExecutor(guard, eval_threads or DEFAULT_THREADS, fail_fast=keep_going > 0),
    }
    remote, lane_of = None, None
    if cluster is not None:
        from fastrun.cluster.connection import DaskCluster, Wanted
        from fastrun.cluster.lanes import add_lanes

        wanted = Wanted(cluster, worker_retries, jobs, grace, timeout, guardian, keep_going > 0)
        remote = DaskCluster(wanted, run_id, measured=measured)
        lane_of = add_lanes(executors, graph.tasks, remote, worker_retries)
    run = Run(
        graph,
        executors,
        watching,
        keep_going=keep_going,
        grace=grace,
        timeout=timeout,
        journal=journal,
        reused=plan.reused if plan else (),
        lane_of=lane_of,
        warn=warn,
    )
    return Prepared(run, guard, plan, gates, remote, journal)


def _gates(
    guard: Guardian,
    jobs: int | None,
    load: float | None,
    min_memory: int | None,
    jobserver: str | None,
    warn: Callable[[str], None],
) -> "Gates | None":
    """What decides beside ``jobs`` whether a command may start; a plain run has none, and does not load them."""
    if load is not None and not load > 0:
        raise ValueError(f"load must be more than 0, not {load}")
    if min_memory is not None and min_memory < 1:
        raise ValueError(f"min_memory must be 1 or more, not {min_memory}")
    of_make = "--jobserver" in os.environ.get("MAKEFLAGS", "")
    if load is None and min_memory is None and jobserver is None and not of_make:
        return None
    from fastrun.executors.gates.gates import make_gates

    return make_gates(guard, jobs, load, min_memory, jobserver, warn)


def _give_back(guard: Guardian, gates: "Gates | None") -> None:
    if gates is not None:
        gates.close()
    guard.stop()


def new_run_id() -> str:
    """What tells a run from all others."""
    return os.urandom(8).hex()


class Prepared(NamedTuple):
    """A run that can be started, once, the guardian of its tasks and, with a journal, what is not run again.

    ``gates``: closed by the run itself, unless that is broken off. ``cluster``: what is to be connected to before, and
    ``journal``, which is let go of where that fails.
    """

    run: Run
    guardian: Guardian
    plan: "Plan | None" = None
    gates: "Gates | None" = None
    cluster: "DaskCluster | None" = None
    journal: "RunJournal | None" = None

    async def to_end(self, signals: "Signals | None" = None) -> Report:
        """Run it and return the report. ``signals``: let them interrupt it, in a process that ends with the run.

        Raises ClusterError, an OSError, with nothing started.
        """
        if self.cluster is not None:
            try:
                await self.cluster.connect()
            except BaseException:
                if self.journal is not None:
                    self.journal.abandon()
                _give_back(self.guardian, self.gates)
                raise
        if signals is not None:
            keep_streams()
            signals.handle()
        try:
            return await self.run.run()
        finally:
            if self.cluster is not None:
                # Where no task was for it nobody else has.
                await self.cluster.close()
            _give_back(self.guardian, self.gates)
            if signals is not None:
                signals.run_ended()


def _read(source: Input) -> Document:
    if isinstance(source, Mapping):
        return read(dict(source), "document")
    if not isinstance(source, (str, os.PathLike)):
        pools = source.pools if isinstance(source, Tasks) else {}
        return read({"pools": pools, "tasks": [_as_dict(task) for task in source]}, "tasks")
    if source == "-":
        # Not sys.stdin, which is None where it was closed.
        with open(0, "rb", closefd=False) as file:
            return parse(file.read(), "<stdin>")
    with open(source, "rb") as file:
        return parse(file.read(), os.fspath(source))


def journaling(
    path: str | os.PathLike[str] | None, *, resume: bool, rerun: Collection[str], durable: bool
) -> "Journaling | None":
    """What is wanted of a journal, None for none. Raises ValueError for options that need one."""
    if path is None:
        if resume or rerun or durable:
            raise ValueError("resume, rerun and durable need a journal")
        return None
    from fastrun.journal.recovery import Journaling  # which a plain run does not need

    return Journaling(os.fspath(path), resume, rerun, durable)


def _as_dict(task: Task) -> dict[str, Any]:
    if not isinstance(task, Task):
        raise TypeError(f"a list must hold fastrun.Task, not {type(task).__name__}; a document is a dict")
    defaults = Task._field_defaults
    item = {key: value for key, value in task._asdict().items() if key not in defaults or value != defaults[key]}
    return {**item, "dependencies": list(task.dependencies), "tags": list(task.tags)}


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)

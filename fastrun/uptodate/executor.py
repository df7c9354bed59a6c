"""An executor before another one, which runs only tasks that are not up to date.

Knows the examiner and both sides of an executor. Does not know how tasks are run, nor where facts are written.

A task that names its files is looked at, in a thread, before it starts and after it was ok::

    start --> look --> up to date: task_ended
                |
                +----> start of the other executor --> task_ended --> look at what it made --> task_ended
"""

import asyncio
import functools
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

from fastrun.document.task import Task
from fastrun.outcome import Cause, Outcome, Start, Status, untried
from fastrun.plan.graph import Graph
from fastrun.protocols import Chain, Events, Executor, tell_each
from fastrun.uptodate.contents import Contents
from fastrun.uptodate.examiner import Examiner, Look, Wrong, shown
from fastrun.uptodate.facts import Made, Seen, Versions

_T = TypeVar("_T")

# Most threads that look at files. To hash is work for a processor, and the tasks need them too.
_MOST_THREADS = 4


class Notes(Protocol):
    """Takes what becomes known of tasks while they run."""

    def runs(self, number: int) -> None:
        """Note that a task runs of which that was not decided before."""
        ...

    def task_made(self, number: int, made: Made) -> None:
        """Note what a task has read and made, before its end is told."""
        ...

    def files_seen(self, seen: dict[str, Seen]) -> None:
        """Note how files looked, once the run is over."""
        ...


class Decisions(NamedTuple):
    """What all lanes of a run share.

    ``tasks``: of the run. ``undecided``: tasks that may be up to date, see ``Plan``. ``why``: by task that runs, the
    reason; what is found out is added. ``dependencies``: returns those of a task. ``cause``: of tasks that are up to
    date. ``notes``: None if nothing is recorded.
    """

    tasks: Sequence[Task]
    examiner: Examiner
    undecided: Collection[int]
    why: dict[int, str]
    dependencies: Callable[[int], Sequence[int]]
    cause: Cause
    notes: Notes | None


def unrecorded(graph: Graph) -> Decisions:
    """Return what there is to decide without a journal: only whether tasks make what they declare.

    Raises SpecError for inputs that are missing.
    """
    from fastrun.uptodate.problems import check_inputs  # an --update that finds all up to date does not need it

    check_inputs(graph, range(len(graph)))
    examiner = Examiner(Contents({}, os.getcwd()), Versions(), lambda _: None)
    return Decisions(graph.tasks, examiner, (), {}, lambda _: (), Cause.UP_TO_DATE, None)


class UpToDateExecutor:
    """Runs the tasks of one lane that are not up to date."""

    longest_chain = 1

    def __init__(self, inner: Executor, decisions: Decisions, processors: int) -> None:
        """``inner``: runs them. ``processors``: how many this process may use."""
        self._threads = ThreadPoolExecutor(min(_MOST_THREADS, processors), "fastrun-files")
        self._inner = inner
        self._decisions = decisions
        self._examiner = decisions.examiner
        # Tasks that are looked at before they start.
        self._looking: set[int] = set()
        # By task that names its files and runs, what was seen before; None where nothing is recorded.
        self._looks: dict[int, tuple[Task, Look | None]] = {}
        # By task that is ok and whose files are looked at, its outcome.
        self._ending: dict[int, Outcome] = {}
        self._interrupted = False
        self._background: set[asyncio.Task[None]] = set()

    @property
    def slots(self) -> int:
        """Return how many tasks it may have at present. Tasks whose ends are looked at need no slot."""
        return self._inner.slots + len(self._ending)

    def open(self, events: Events) -> None:
        """Begin, between the run and the other executor."""
        self._events = events
        self._inner.open(self)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Start tasks, but for those that are up to date. A task that names its files is a chain by itself."""
        plain: list[Chain] = []
        looking: list[Chain] = []
        for chain in chains:
            number, task = chain[0]
            if task.has_files:
                looking.append(chain)
                continue
            if self._is_undecided(number):
                decisions = self._decisions
                ran = next((other for other in decisions.dependencies(number) if other in decisions.why), None)
                if ran is None:
                    self._events.task_ended(number, untried(Status.OK, decisions.cause))
                    continue
                self._decide(number, f"{decisions.tasks[ran].label} ran")
            plain.append(chain)
        if plain:
            await self._inner.start(plain)
        if looking:
            await asyncio.gather(*map(self._look_and_start, looking))

    def recall(self) -> None:
        """Give back what is still looked at."""
        while self._looking:
            self._events.task_ended(self._looking.pop(), None)
        self._inner.recall()

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Interrupt the tasks that run, and give back what is still looked at. With ``force`` look at nothing more.

        A task that has ended cannot be interrupted any more, whatever its processes do that live on.
        """
        if number in self._ending:
            return
        if number is None:
            self._interrupted = True
            while self._looking:
                self._events.task_ended(self._looking.pop(), None)
            for ending in list(self._ending) if force else ():
                # Whether it has made what it declares is not known.
                self._end(ending, self._ending[ending]._replace(status=Status.INTERRUPTED))
        self._inner.interrupt(number, force=force)

    def suspend(self, *, resume: bool) -> None:
        """Suspend the tasks that run."""
        self._inner.suspend(resume=resume)

    async def close(self) -> None:
        """Close the other executor, and note how files looked."""
        await self._inner.close()
        # No task runs, in no lane. A thread that still reads for an interrupted run ends soon.
        self._examiner.contents.stop()
        self._threads.shutdown(cancel_futures=True)
        notes, news = self._decisions.notes, self._examiner.contents.news
        if notes is not None and news:
            # The executors of all lanes share it, and threads of theirs may still read.
            notes.files_seen(news.copy())
            news.clear()

    async def _look_and_start(self, chain: Chain) -> None:
        ((number, task),) = chain
        if self._interrupted:
            self._events.task_ended(number, None)
            return
        self._looking.add(number)
        try:
            look = await self._in_thread(self._look, number, task)
            if number in self._looking:
                self._looking.remove(number)
                await self._start_if_needed(number, task, look)
        except Exception as error:
            # The tasks beside it are still looked at, and start.
            self._looking.discard(number)
            self._looks.pop(number, None)
            self._events.task_ended(number, Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error)))

    async def _start_if_needed(self, number: int, task: Task, look: Look | None) -> None:
        if look is not None and look.missing:
            self._events.task_ended(number, untried(Status.FAILED, Cause.NO_INPUT, shown(look.missing)))
            return
        if look is not None and self._is_undecided(number):
            if not look.difference:
                self._events.task_ended(number, untried(Status.OK, self._decisions.cause))
                return
            self._decide(number, look.difference)
        self._looks[number] = task, look
        await self._inner.start([[(number, task)]])

    def _look(self, number: int, task: Task) -> Look | None:
        """Look at what a task reads, where anything is recorded, and make the folders of what it makes if it runs."""
        look = None if self._decisions.notes is None else self._examiner.look(task)
        if look is None or look.difference or not self._is_undecided(number):
            self._examiner.make_folders(task)
        return look

    def _is_undecided(self, number: int) -> bool:
        """Return whether a task may be up to date."""
        return number in self._decisions.undecided and number not in self._decisions.why

    def _decide(self, number: int, why: str) -> None:
        """Let a task run of which that was not decided."""
        decisions = self._decisions
        decisions.why[number] = why
        if decisions.notes is not None:
            decisions.notes.runs(number)

    async def _look_at_end(self, number: int, task: Task, look: Look | None) -> None:
        made = await self._in_thread(self._examiner.end, task, look)
        outcome = self._ending.get(number)
        if outcome is None:
            # The run has given up on looking.
            return
        if isinstance(made, Wrong):
            outcome = outcome._replace(status=Status.FAILED, cause=made.cause, detail=made.detail)
        elif made is not None and self._decisions.notes is not None:
            if made.changed:
                self._events.warning(
                    f"{task.label}: {shown(made.changed)} changed while it ran; it runs again next time"
                )
            self._decisions.notes.task_made(number, made)
        self._end(number, outcome)

    def _end(self, number: int, outcome: Outcome) -> None:
        del self._ending[number]
        self._events.task_ended(number, outcome)

    async def _in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        except RuntimeError:
            # The system grants no thread, or the run is over.
            return function(*arguments)
        return await looking

    # The events of the other executor

    @property
    def congested(self) -> bool:
        """Return whether observers are behind."""
        return self._events.congested

    def task_started(self, number: int, start: Start) -> None:
        """Pass a start on."""
        self._events.task_started(number, start)

    def tasks_ran(self, numbers: Sequence[int]) -> None:
        """Pass starts and ends on."""
        tell_each(self, numbers)

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Pass output on."""
        self._events.task_output(number, stream, data)

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Pass an end on, that of a task that names its files once these were looked at."""
        found = self._looks.pop(number, None)
        if found is None or outcome is None or outcome.status is not Status.OK:
            self._events.task_ended(number, outcome)
            return
        self._ending[number] = outcome
        looking = asyncio.get_running_loop().create_task(self._look_at_end(number, *found))
        # The loop itself holds tasks weakly.
        self._background.add(looking)
        looking.add_done_callback(functools.partial(self._looked, number))
        self._events.slots_changed()

    def _looked(self, number: int, looking: "asyncio.Task[None]") -> None:
        self._background.discard(looking)
        if number in self._ending:
            # The look failed, or code that cancels all tasks of the loop has cancelled it.
            detail = "cancelled" if looking.cancelled() else repr(looking.exception())
            self._end(number, Outcome(Status.FAILED, Cause.INTERNAL_ERROR, detail))

    def slots_changed(self) -> None:
        """Pass it on."""
        self._events.slots_changed()

    def warning(self, text: str) -> None:
        """Pass it on."""
        self._events.warning(text)

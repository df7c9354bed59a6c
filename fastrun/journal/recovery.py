"""The recovery of an earlier run: opens its journal, ends its processes, decides which tasks need not run again.

Connects the journal and the processes, which know nothing of each other. A run without a journal does not import it.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from fastrun.executors.guardian.emergency import Runner, Survivors
from fastrun.executors.guardian.proc import process_ids
from fastrun.journal.file import HOLDS_A_RUN, JournalFile
from fastrun.journal.keys import task_keys
from fastrun.journal.machine import boot_id
from fastrun.journal.recorded import Recorded, read_journal
from fastrun.journal.recording import RunJournal
from fastrun.journal.records import JournalError
from fastrun.journal.resume import Plan, followers, make_plan, outdated, survivors
from fastrun.outcome import Cause
from fastrun.plan.graph import Graph
from fastrun.plan.selection import matching
from fastrun.settings import RunSettings
from fastrun.text import printable
from fastrun.uptodate.facts import Facts

if TYPE_CHECKING:
    from fastrun.uptodate.examiner import Examiner
    from fastrun.uptodate.executor import Decisions


class Beginning(NamedTuple):
    """What a run with a journal begins with. ``decisions``: None where no task names its files."""

    journal: RunJournal
    plan: Plan
    decisions: "Decisions | None"


def begin(graph: Graph, path: str, settings: RunSettings, run_id: str, warn: Callable[[str], None]) -> Beginning:
    """Open a journal for a run of a graph, and decide what need not run again.

    ``run_id``: the mark of the run's processes. ``warn``: called with each line for the user.

    Raises JournalError or OSError if the journal cannot be used, ValueError for names that no task has, SpecError for
    inputs that are missing.
    """
    forced = _forced(graph, settings.rerun)
    with _named(path):
        file = JournalFile.open(path, settings.resume or settings.update)
        try:
            for note in file.notes:
                warn(note)
            recorded = file.recorded
            _end_survivors(recorded, printable(path), warn)
            keys = task_keys(graph)
            examiner = _examiner(graph, recorded)
            plan = _plan(graph, keys, recorded, forced, settings, examiner)
            if plan.why or plan.undecided:
                graph.rank_by(plan.seconds)
            journal = RunJournal(file, graph.tasks, keys, durable=settings.durable)
            redone = [graph.tasks[number].name for number in plan.redone]
            journal.begin(run_id, [*redone, *(name for name in outdated(graph, plan) if name in recorded.ok)])
        except BaseException:
            file.close()
            raise
    if examiner is None:
        return Beginning(journal, plan, None)
    from fastrun.uptodate.executor import Decisions

    cause = Cause.UP_TO_DATE if settings.update else Cause.FROM_JOURNAL
    notes = _Notes(graph, plan, recorded, journal)
    dependencies = _dependencies(graph)
    decisions = Decisions(graph.tasks, examiner, plan.undecided, plan.why, dependencies, cause, notes)
    return Beginning(journal, plan, decisions)


class _Notes:
    """Records what becomes known of tasks while they run."""

    def __init__(self, graph: Graph, plan: Plan, recorded: Recorded, journal: RunJournal) -> None:
        self._whole, self._numbers = graph.whole or (graph, range(len(graph)))
        self._recorded = recorded
        self._journal = journal
        # Tasks of the whole whose success does not count any more.
        self._outdated = {self._numbers[number] for number in plan.why}
        self._outdated |= followers(self._whole, self._outdated)
        self.task_made = journal.task_made
        self.files_seen = journal.files_seen

    def runs(self, number: int) -> None:
        """Note that what follows a task is to run again, should this run come to no end."""
        after = sorted(followers(self._whole, [self._numbers[number]], self._outdated))
        self._outdated.update(after)
        names = (self._whole.tasks[number].name for number in after)
        self._journal.redo(name for name in names if name in self._recorded.ok)


def foresee(graph: Graph, path: str, settings: RunSettings) -> Plan:
    """Return the plan that a run would follow, without a lock or a change to any file. Raises what ``begin`` does.

    In its ``why`` are also the ``undecided`` tasks: they may run, because a dependency does.
    """
    forced = _forced(graph, settings.rerun)
    recorded = read(path)
    if recorded.runs and not (settings.resume or settings.update):
        raise JournalError(f"{printable(path)}: {HOLDS_A_RUN}")
    graph.rank_by(recorded.seconds)
    examiner = _examiner(graph, recorded)
    plan = _plan(graph, task_keys(graph), recorded, forced, settings, examiner)
    if plan.undecided and examiner is not None:
        _decide(graph, plan, examiner)
    return plan


def _decide(graph: Graph, plan: Plan, examiner: "Examiner") -> None:
    """Decide for undecided tasks as far as files tell now: those that may run stay undecided."""
    from fastrun.uptodate.problems import Makers

    tasks, why, undecided = graph.tasks, plan.why, plan.undecided
    makers = Makers(tasks, graph.with_files)
    dependencies = _dependencies(graph)

    def is_remade(path: str) -> bool:
        return any(maker.number in why for maker in makers.of(path))

    for number in [number for number in graph.order if number in undecided]:
        task = tasks[number]
        before = next((other for other in dependencies(number) if other in why), None)
        # What is wrong with a file that is made anew may be right then.
        difference = examiner.look(task, is_remade).difference if task.has_files else ""
        if difference:
            why[number] = difference
        elif before is None:
            plan.reused.append(number)
        elif before in undecided or task.has_files:
            why[number] = f"may run after {tasks[before].label}"
            continue
        else:
            why[number] = f"{tasks[before].label} runs"
        undecided.remove(number)


def _examiner(graph: Graph, recorded: Recorded) -> "Examiner | None":
    """Return what compares files with the records, None if no task names its files."""
    if not graph.with_files:
        return None
    from fastrun.uptodate.contents import Contents
    from fastrun.uptodate.examiner import Examiner

    def facts(name: str) -> Facts | None:
        success = recorded.ok.get(name)
        return None if success is None else success.facts

    return Examiner(Contents(recorded.seen, os.getcwd()), recorded.versions, facts)


def _plan(
    graph: Graph,
    keys: list[str],
    recorded: Recorded,
    forced: Collection[str],
    settings: RunSettings,
    examiner: "Examiner | None",
) -> Plan:
    """Decide what runs. Raises SpecError for inputs that are missing."""
    if examiner is None:
        return make_plan(graph, keys, recorded, forced, update=settings.update)
    from fastrun.uptodate.glance import Glance

    is_up_to_date = Glance(examiner).is_up_to_date
    plan = make_plan(graph, keys, recorded, forced, update=settings.update, is_up_to_date=is_up_to_date)
    running = sorted([*plan.why, *plan.undecided])
    if running:
        from fastrun.uptodate.problems import check_inputs

        check_inputs(graph, running)
    return plan


def _dependencies(graph: Graph) -> Callable[[int], Sequence[int]]:
    """Return what returns the dependencies of a task; the graph is turned round when it is first asked."""
    needed: list[Graph] = []

    def of(number: int) -> Sequence[int]:
        if not needed:
            needed.append(graph.reverse())
        return needed[0].dependents_of(number)

    return of


def read(path: str) -> Recorded:
    """Return what a journal says; a missing file says nothing. Raises JournalError or OSError."""
    data = b""
    with _named(path), suppress(FileNotFoundError), open(path, "rb") as file:
        data = file.read()
    try:
        return read_journal(data)
    except JournalError as error:
        raise JournalError(f"{printable(path)}: {error}") from None


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Have errors of the system name the journal."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def _forced(graph: Graph, rerun: Collection[str]) -> frozenset[str]:
    """Return the names of the tasks that must run in any case. Raises ValueError for a name that no task has."""
    if not rerun:
        return frozenset()
    names = [task.name for task in graph.tasks]
    return frozenset(names[number] for number in matching(names, rerun))


def _end_survivors(recorded: Recorded, label: str, warn: Callable[[str], None]) -> None:
    """End the processes of an earlier run's tasks: two copies of a task must not run side by side."""
    if not recorded.runs or recorded.exit_code is not None or not process_ids():
        return
    run = recorded.runs[-1]
    boot = boot_id()
    if run.boot != boot or not boot:
        return
    leaders = [started.pid for started in survivors(recorded, boot) if started.pid is not None]
    # This session and group contain the processes that started this one. None of them belongs to the earlier run.
    own = Runner(os.getpid(), os.getsid(0), os.getpgrp())
    ended, left = Survivors(run.id, leaders, own).end()
    if left:
        many = "a process" if left == 1 else f"{left} processes"
        raise JournalError(f"{label}: {many} of the earlier run cannot be ended")
    if ended:
        warn(f"{label}: ended {ended} process{'' if ended == 1 else 'es'} that the earlier run had left")

"""The recovery of an earlier run: opens its journal, ends its processes, decides which tasks need not run again.

Connects the journal and the processes, which know nothing of each other. A run without a journal does not import it.
"""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from fastrun.executors.guardian.emergency import Runner, Survivors
from fastrun.executors.guardian.proc import process_ids
from fastrun.journal.file import JournalFile
from fastrun.journal.keys import task_keys
from fastrun.journal.machine import boot_id
from fastrun.journal.recording import RunJournal
from fastrun.journal.records import JournalError, Recorded, read_journal
from fastrun.journal.resume import Plan, make_plan, outdated, survivors
from fastrun.plan.graph import Graph
from fastrun.plan.selection import matching
from fastrun.settings import RunSettings
from fastrun.text import printable


def begin(
    graph: Graph, path: str, settings: RunSettings, run_id: str, warn: Callable[[str], None]
) -> tuple[RunJournal, Plan]:
    """Open a journal for a run of a graph. Return it with the plan of what need not run again.

    ``run_id``: the mark of the run's processes. ``warn``: called with each line for the user.

    Raises JournalError or OSError if the journal cannot be used, ValueError for names that no task has.
    """
    forced = _forced(graph, settings.rerun)
    with _named(path):
        file = JournalFile.open(path, settings.resume)
        try:
            for note in file.notes:
                warn(note)
            _end_survivors(file.recorded, printable(path), warn)
            keys = task_keys(graph)
            graph.rank_by(file.recorded.seconds)
            plan = make_plan(graph, keys, file.recorded, forced)
            journal = RunJournal(file, graph.tasks, keys, durable=settings.durable)
            redone = [graph.tasks[number].name for number in plan.redone]
            journal.begin(run_id, [*redone, *(name for name in outdated(graph, plan) if name in file.recorded.ok)])
        except BaseException:
            file.close()
            raise
    return journal, plan


def foresee(graph: Graph, path: str, settings: RunSettings) -> Plan:
    """Return the plan that a run would follow, without a lock or a change to any file. Raises what ``begin`` does."""
    forced = _forced(graph, settings.rerun)
    recorded = read(path)
    if recorded.runs and not settings.resume:
        raise JournalError(f"{printable(path)}: already holds a run; --resume continues it")
    graph.rank_by(recorded.seconds)
    return make_plan(graph, task_keys(graph), recorded, forced)


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

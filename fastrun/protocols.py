"""What the runner, the executors and the observers agree on.

Stands beside the runner, who calls all of it; knows none of those who implement it.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from fastrun.document.parse import Task

STDOUT = 1
STDERR = 2


class Status(IntEnum):
    """What a task is. It ends in exactly one of the last four."""

    WAITING = 0
    READY = 1
    RUNNING = 2
    OK = 3
    FAILED = 4
    SKIPPED = 5
    INTERRUPTED = 6

    @property
    def label(self) -> str:
        """The word that the report prints."""
        return self.name.lower()


_STATUSES = tuple(Status)

ENDED = (Status.OK, Status.FAILED, Status.SKIPPED, Status.INTERRUPTED)


class Usage(NamedTuple):
    """What a command used, together with all that it waited for.

    ``cpu_seconds``: of processor time. ``peak_bytes``: the most memory that the largest of the processes had; None if
    that is less than fastrun has itself, which the kernel counts as the command's too. Source: getrusage(2).
    """

    cpu_seconds: float
    peak_bytes: int | None


class Outcome(NamedTuple):
    """How a task ended, or an attempt at it.

    ``status``: one of the last four. ``reason``: in one line, where there is one. ``usage``: of a command, where an
    observer is ``detailed`` and it is known. ``again``: seconds until the next attempt, None when the task has ended;
    an executor sets it where the attempt was lost through no fault of the task. ``ago``: seconds since it ended, where
    word of that has come late. ``given_up``: this was told before, and the attempt that was to follow will not.
    """

    status: Status
    reason: str = ""
    usage: Usage | None = None
    again: float | None = None
    ago: float = 0.0
    given_up: bool = False


# That of nearly every task: it need not be made each time.
OK = Outcome(Status.OK)


class Start(NamedTuple):
    """That an attempt at a task starts: the how manieth, from 1, of how many there may be.

    Where an observer is ``detailed`` also ``pid``, of the command's process, and ``held_by``, what the task waited for
    once its dependencies had ended, if it did: ``"slot"``, ``"pool"``, ``"load"``, ``"memory"`` or ``"jobserver"``.

    ``worker``: on a cluster, the name of the worker that it runs on, in one line; a process id would be that worker's.
    ``ago``: seconds since it began, where word of that has come late.
    """

    attempt: int = 1
    attempts: int = 1
    pid: int | None = None
    held_by: str = "slot"
    worker: str | None = None
    ago: float = 0.0


# That of nearly every task: it need not be made each time.
FIRST_START = Start()


# The reason of a task that is ok without having run.
FROM_JOURNAL = "from the journal"

# That of one that is skipped because nothing has failed that it is for.
NOTHING_FAILED = "not needed, as nothing failed"


class Result(NamedTuple):
    """One line of a report."""

    name: str
    status: Status
    reason: str


class Report:
    """How a run ended.

    ``counts``: tasks by status. ``reused``: how many of those that are ok did not run, as a journal says that they had.
    ``allowed``: how many of those that failed may. ``not_needed``: how many were skipped as nothing that they are for
    failed.
    ``seconds``: wall time. ``signal``: the number of the signal that interrupted the run, or None. ``recorded``: False
    if there is a journal that could not be written in full. Iterating gives a Result per task in the order of the
    document; ``report["name"]`` gives one.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        statuses: bytes,
        reasons: dict[int, str],
        seconds: float,
        signal_number: int | None = None,
        reused: int = 0,
        allowed: int = 0,
        not_needed: int = 0,
    ) -> None:
        """``statuses``: a Status per task. ``reasons``: by task number, for those that have one."""
        self._tasks = tasks
        self._statuses = statuses
        self._reasons = reasons
        self._numbers: dict[str, int] = {}
        self.counts = {status: statuses.count(status) for status in ENDED}
        self.seconds = seconds
        self.signal = signal_number
        self.reused = reused
        self.allowed = allowed
        self.not_needed = not_needed
        self.recorded = True

    @property
    def ok(self) -> bool:
        """Whether every task is ok, or counts as if it were."""
        return self.counts[Status.OK] + self.allowed + self.not_needed == len(self._tasks)

    @property
    def exit_code(self) -> int:
        """0 ``ok``, 1 a task failed or was skipped, 3 not all is recorded, 128 + N after signal N."""
        if self.signal is not None:
            return 128 + self.signal
        if not self.recorded:
            return 3
        return 0 if self.ok else 1

    def summary(self) -> str:
        """The last line of the printed report: ``9 tasks: 7 ok, 1 failed, 1 skipped in 7.02 s``."""
        notes = {
            Status.OK: (self.reused, FROM_JOURNAL),
            Status.FAILED: (self.allowed, "allowed"),
            Status.SKIPPED: (self.not_needed, "not needed"),
        }
        counts = []
        for status, count in self.counts.items():
            of_them, note = notes.get(status, (0, ""))
            if count or status is Status.OK:
                counts.append(f"{count} {status.label}" + (f" ({of_them} {note})" if of_them else ""))
        many = "1 task" if len(self) == 1 else f"{len(self)} tasks"
        return f"{many}: {', '.join(counts)} in {self.seconds:.2f} s"

    def __repr__(self) -> str:
        return f"<Report {self.summary()}>"

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Result]:
        return map(self._result, range(len(self._tasks)))

    def __getitem__(self, name: str) -> Result:
        if not self._numbers:
            self._numbers = {task.name: number for number, task in enumerate(self._tasks)}
        return self._result(self._numbers[name])

    def _result(self, number: int) -> Result:
        return Result(self._tasks[number].name, _STATUSES[self._statuses[number]], self._reasons.get(number, ""))


# The variable that tells a command which attempt it is.
ATTEMPT = "FASTRUN_ATTEMPT"

# A task's number in the document, and the task.
Job = tuple[int, Task]

# Tasks of which each, once it is ok, is followed by the next one.
Chain = Sequence[Job]

# Seconds after which a chain is not gone on with. What is left goes back into the queue, where others may come first.
CHAIN_SECONDS = 0.01


class Events(Protocol):
    """What an executor tells the runner of tasks, by their numbers. Called in the thread of the loop."""

    @property
    def congested(self) -> bool:
        """Whether those who take the output are behind: an executor then stops reading more."""
        ...

    def task_started(
        self,
        number: int,
        pid: int | None = None,
        held_by: str = "slot",
        worker: str | None = None,
        ago: float = 0.0,
    ) -> None:
        """Before any output of the task. ``pid``: of its process, which leads a session and a group of its own.

        ``held_by``: what those of the executor's tasks that were ready had to wait for until now, if they had.
        ``worker``: on a cluster, the name of the worker that it runs on. ``ago``: seconds since then.
        """
        ...

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Some bytes of the task's STDOUT or STDERR, cut anywhere."""
        ...

    def task_ended(self, number: int, outcome: Outcome | None) -> bool:
        """Once for each task of a chain up to the first that is not ok. None: not started, it goes back.

        INTERRUPTED: only after ``interrupt``.

        Returns whether anything more may start.
        """
        ...

    def slots_changed(self) -> None:
        """There may be more slots than when a task last ended."""
        ...

    def warning(self, text: str) -> None:
        """One line for the user."""
        ...


class Executor(Protocol):
    """Runs tasks of one type."""

    @property
    def slots(self) -> int:
        """How many tasks it may have at present, running or about to."""
        ...

    def open(self, events: Events) -> None:
        """Begin, inside the running loop."""
        ...

    async def start(self, chains: Sequence[Chain]) -> None:
        """Start chains of tasks, each of which takes one slot. What becomes of them is told to the events."""
        ...

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Ask a task that runs to end; with ``force`` make an end of it, and of what it left behind.

        None: all tasks, and nothing more is started from then on.
        """
        ...

    def suspend(self, *, resume: bool) -> None:
        """Stop the processes of all tasks, for this one is about to be stopped; or let them go on."""
        ...

    async def close(self) -> None:
        """End what outlived its task and give everything back."""
        ...


class Journal(Protocol):
    """Keeps what happens to tasks, for another run to go on from there. Nothing is acted on before it is recorded."""

    def open(self, on_change: Callable[[], object]) -> None:
        """Begin. ``on_change``: to be called, in any thread, when ``flush`` would say something new by itself."""
        ...

    def task_started(self, number: int, pid: int | None) -> None:
        """Note it, as for ``Events``."""
        ...

    def task_ended(self, number: int, outcome: Outcome) -> int:
        """Note it, for tasks that are skipped too. Returns a number that grows, see ``flush``."""
        ...

    def flush(self) -> int:
        """Record what was noted. Returns up to which number that is done. Raises OSError if it cannot be."""
        ...

    def close(self, report: Report) -> None:
        """Note how the run ended, and return when all is recorded. Raises OSError if it cannot be."""
        ...


class Observer:
    """Watches a run. Override what is of interest; a hook that is not overridden costs nothing.

    All hooks are called in the thread of the loop. A hook that raises takes its observer out of the run.
    """

    @property
    def congested(self) -> bool:
        """Whether it has more unwritten output than it cares to hold: the tasks are slowed meanwhile."""
        return False

    @property
    def detailed(self) -> bool:
        """Whether it wants to know all of ``Start`` and ``Outcome``, which costs each command some microseconds."""
        return False

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Once, before anything else. ``tasks``: in the order of the document."""

    def task_started(self, task: Task, start: Start) -> None:
        """The task runs now, for the first time or again. Not called for tasks that are skipped."""

    def task_output(self, task: Task, stream: int, data: bytes) -> None:
        """Some bytes of the task's STDOUT or STDERR, cut anywhere.

        Processes that a task leaves behind may write after its end.
        """

    def task_ended(self, task: Task, outcome: Outcome) -> None:
        """Once for each task, skipped ones too, and once for each attempt that is followed by another."""

    def run_ended(self, report: Report) -> None:
        """Once, after everything else."""


def exit_outcome(code: int | None) -> Outcome:
    """The outcome for a process's exit code as ``subprocess`` has it: negative for a signal, None if lost."""
    if code == 0:
        return OK
    if code is None:
        return Outcome(Status.FAILED, "exit status lost")
    if code > 0:
        return Outcome(Status.FAILED, f"exit status {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        # A real-time signal between the two that have names.
        name = f"signal {-code}"
    return Outcome(Status.FAILED, f"killed by {name}")

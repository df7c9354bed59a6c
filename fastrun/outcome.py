"""How tasks, attempts and runs end.

Knows tasks. Does not know how they are run, nor by what.
"""

import signal
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from fastrun.document.task import Task


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
    observer is ``detailed`` and it is known. ``attempt``, ``attempts``: as in ``Start``, 0 for a task that was not
    tried. ``retry_in``: seconds until the next attempt, None when the task has ended. ``ago``: seconds since it ended,
    where the news of that have come late. ``lost``: the attempt was lost through no fault of the task, which may run
    again.
    """

    status: Status
    reason: str = ""
    usage: Usage | None = None
    attempt: int = 1
    attempts: int = 1
    retry_in: float | None = None
    ago: float = 0.0
    lost: bool = False


# The most common outcome, shared to avoid an allocation.
OK = Outcome(Status.OK)


class Start(NamedTuple):
    """An attempt at a task has started.

    ``attempt`` counts from 1; ``attempts`` is the most that there may be. An attempt that was lost with its worker is
    not one of the task's own: it counts in both, so that each attempt has a number of its own.
    ``pid``: of the command's process, which leads a session and a group of its own; None for a snippet, and on a
    cluster, where a process id would be the worker's. ``held_by``: what the task waited for once its dependencies had
    ended, if it did: ``"slot"``, ``"pool"``, ``"load"``, ``"memory"`` or ``"jobserver"``. ``worker``: on a cluster, the
    name of the worker that it runs on, in one line. ``ago``: seconds since it started, where the news of that have come
    late.
    """

    attempt: int = 1
    attempts: int = 1
    pid: int | None = None
    held_by: str = "slot"
    worker: str | None = None
    ago: float = 0.0


# The start of nearly every snippet, shared to avoid an allocation.
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

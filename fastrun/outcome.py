"""Outcomes of tasks, attempts and runs.

Knows tasks. Does not know how they are run, nor by which executor.
"""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from fastrun.document.task import Task


class Status(IntEnum):
    """The state of a task. It ends in exactly one of the last four."""

    WAITING = 0
    READY = 1
    RUNNING = 2
    OK = 3
    FAILED = 4
    SKIPPED = 5
    INTERRUPTED = 6

    @property
    def label(self) -> str:
        """Return the word that the report prints."""
        return self.name.lower()


_STATUSES = tuple(Status)

ENDED = (Status.OK, Status.FAILED, Status.SKIPPED, Status.INTERRUPTED)


class Usage(NamedTuple):
    """What a command used, together with the processes that it waited for.

    ``cpu_seconds``: of processor time. ``peak_bytes``: the most memory that the largest of the processes had; None if
    that is less than fastrun's own, which the kernel counts as the command's too. Source: getrusage(2).
    """

    cpu_seconds: float
    peak_bytes: int | None


class Cause(Enum):
    """Why a task, or an attempt at it, ended as it did. The values are those of ``cause`` in ``--json``."""

    EXIT = "exit"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out of memory"
    STATUS_LOST = "status lost"
    OUTPUT_LOST = "output lost"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    CANNOT_START = "cannot start"
    NO_THREAD = "no thread"
    WORKER_LOST = "worker lost"
    CLUSTER_LOST = "cluster lost"
    INTERNAL_ERROR = "internal error"
    DEPENDENCY = "dependency"
    NOT_NEEDED = "not needed"
    TOO_MANY_FAILURES = "too many failures"
    NO_JOURNAL = "no journal"
    FROM_JOURNAL = "from the journal"
    UP_TO_DATE = "up to date"
    NO_INPUT = "no input"
    NO_OUTPUT = "no output"
    DEPFILE = "depfile"


# Sentences by cause. The braces stand for the outcome's ``detail``.
_SENTENCES = {
    Cause.EXIT: "exit status {}",
    Cause.SIGNAL: "killed by {}",
    Cause.OUT_OF_MEMORY: "killed by SIGKILL, probably as memory was short{}",
    Cause.STATUS_LOST: "exit status lost",
    Cause.OUTPUT_LOST: "cannot read its output: {}",
    Cause.EXCEPTION: "{}",
    Cause.TIMEOUT: "timed out after {:g} s",
    Cause.CANNOT_START: "cannot start: {}",
    Cause.NO_THREAD: "cannot start a thread",
    Cause.WORKER_LOST: "its worker {} was lost",
    Cause.CLUSTER_LOST: "{}",
    Cause.INTERNAL_ERROR: "internal error of fastrun: {}",
    Cause.DEPENDENCY: "{} failed",
    Cause.NOT_NEEDED: "not needed: nothing failed",
    Cause.TOO_MANY_FAILURES: "stopped after {} failures",
    Cause.NO_JOURNAL: "the journal cannot be written",
    Cause.FROM_JOURNAL: "from the journal",
    Cause.UP_TO_DATE: "up to date",
    Cause.NO_INPUT: "its input {} is missing",
    Cause.NO_OUTPUT: "did not make {}",
    Cause.DEPFILE: "depfile {}",
}


class Outcome(NamedTuple):
    """How a task ended, or an attempt at it.

    ``status``: OK, FAILED, SKIPPED or INTERRUPTED. ``cause``: why; None for a task that is ok or was interrupted.
    ``detail``: more on the cause: an exit status, a signal's name, seconds, the label of the task at the root of a
    skip, how many failures were too many, or a text. ``root``: the number of the task at the root of a skip.
    ``usage``: of a process, where an observer is ``detailed`` and it is known. ``attempt``, ``attempts``: as in
    ``Start``, 0 for a task that was not tried. ``retry_in``: seconds until the next attempt, None when the task has
    ended. ``ago``: seconds between the end and the news of it, where that came late.
    ``lost``: the attempt was lost through no fault of the task, which may run again. ``lost_worker``: the name of the
    worker that an earlier attempt was lost with. ``allowed``: whether the task has failed and was allowed to.
    """

    status: Status
    cause: Cause | None = None
    detail: str | float = ""
    root: int | None = None
    usage: Usage | None = None
    attempt: int = 1
    attempts: int = 1
    retry_in: float | None = None
    ago: float = 0.0
    lost: bool = False
    lost_worker: str = ""
    allowed: bool = False

    @property
    def reason(self) -> str:
        """Return what the report says of it, in one line; empty if there is nothing to say."""
        said = ""
        if self.cause is not None:
            said = _SENTENCES[self.cause].format(self.detail)
            if self.cause is Cause.TOO_MANY_FAILURES and self.detail == 1:
                said = said.removesuffix("s")
        elif self.status is Status.OK and self.attempt > 1 and not self.lost_worker:
            # A task that succeeds only the second time is worth a look.
            said = f"attempt {self.attempt} of {self.attempts}"
        if self.lost_worker:
            said += f"{', ' if said else ''}ran again because its worker {self.lost_worker} was lost"
        return f"{said} (allowed)" if self.allowed else said


# The most common outcome, shared to avoid an allocation.
OK = Outcome(Status.OK)


def untried(status: Status, cause: Cause | None = None, detail: str | float = "", root: int | None = None) -> Outcome:
    """Return the outcome of a task that was not tried."""
    return Outcome(status, cause, detail, root, attempt=0, attempts=0)


# Outcomes, by status, of tasks of which there is nothing more to say.
_PLAIN = tuple(OK if status is Status.OK else untried(status) for status in Status)


class Start(NamedTuple):
    """An attempt at a task has started.

    ``attempt`` counts from 1; ``attempts`` is the most that there may be. An attempt that was lost with its worker is
    not one of the task's ``retries``. It counts in both all the same, so that each attempt has a number of its own.
    ``pid``: of the process of a command or a snippet, which leads a session and a group of its own; None for a snippet
    in a thread, and on a cluster, where it would be an id on the worker. ``held_by``: what the task waited for once its
    dependencies had ended, if it had to wait: ``"slot"``, ``"pool"``, ``"load"``, ``"memory"`` or ``"jobserver"``.
    ``worker``: on a cluster, the name of the worker that it runs on, in one line. ``ago``: seconds between the start
    and the news of it, where that came late. ``why``: why the task runs, where some do not, in a few words.
    """

    attempt: int = 1
    attempts: int = 1
    pid: int | None = None
    held_by: str = "slot"
    worker: str | None = None
    ago: float = 0.0
    why: str = ""


# The start of nearly every snippet, shared to avoid an allocation.
FIRST_START = Start()


class Result(NamedTuple):
    """How one task ended.

    ``reason``: as in the printed report, empty if there is nothing to say. ``attempts``: how many there were, 0 for a
    task that did not run.
    The rest is of the last attempt, in reports of ``fastrun.run`` and ``run_async``. ``duration``: seconds; None for a
    task that did not run. ``usage``: of a process, None where it is not known. ``output``: with ``keep_output``, the
    end of what the task printed, both streams in the order in which it came.
    """

    name: str
    status: Status
    reason: str
    attempts: int
    duration: float | None = None
    usage: Usage | None = None
    output: bytes = b""


class Measures(NamedTuple):
    """What was measured of the last attempts: of all tasks, by number, or of those that it is known of."""

    durations: Mapping[int, float]
    usages: Mapping[int, Usage]
    outputs: Mapping[int, bytes]


class Report:
    """How a run ended.

    ``counts``: tasks by status. ``reused``: how many ok tasks did not run because a journal says that they had;
    ``reused_as``: their cause.
    ``allowed``: how many failed tasks were allowed to fail. ``not_needed``: how many tasks were skipped because no task
    failed that they are meant to follow.
    ``seconds``: wall time. ``signal``: the number of the signal that interrupted the run, or None. ``timed_out``: the
    seconds after which the run was interrupted, as it may take no more, or None. ``recorded``: False if there is a
    journal that could not be written in full. ``measures``: of attempts, None for none. Iteration gives
    a Result per task in the order of the document; ``report["name"]`` gives one. ``outcome`` gives all that is known of
    an end, ``location`` where the task is in the document.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        statuses: bytes,
        outcomes: Mapping[int, Outcome],
        seconds: float,
        signal_number: int | None = None,
        reused: int = 0,
        reused_as: Cause = Cause.FROM_JOURNAL,
        allowed: int = 0,
        not_needed: int = 0,
        location: Callable[[int], str] | None = None,
        timed_out: float | None = None,
    ) -> None:
        """``statuses``: a Status per task. ``outcomes``: by task, where there is more to say than the status.

        ``location``: gives the location of a task in its document, by its number.
        """
        self._tasks = tasks
        self._statuses = statuses
        self._outcomes = outcomes
        self._numbers: dict[str, int] = {}
        self.counts = {status: statuses.count(status) for status in ENDED}
        self.seconds = seconds
        self.signal = signal_number
        self.timed_out = timed_out
        self.reused = reused
        self.reused_as = reused_as
        self.allowed = allowed
        self.not_needed = not_needed
        self.recorded = True
        self.measures: Measures | None = None
        self._location = location

    @property
    def not_started(self) -> int:
        """Return how many of the interrupted tasks had not started."""
        interrupted = self.counts[Status.INTERRUPTED]
        if not interrupted:
            return 0
        return interrupted - sum(outcome.status is Status.INTERRUPTED for outcome in self._outcomes.values())

    @property
    def interrupted(self) -> bool:
        """Return whether a signal interrupted the run, or the end of its time."""
        return self.signal is not None or self.timed_out is not None

    @property
    def ok(self) -> bool:
        """Return whether every task is ok, or counts as if it were."""
        return self.counts[Status.OK] + self.allowed + self.not_needed == len(self._tasks)

    @property
    def exit_code(self) -> int:
        """Return 0 if ``ok``, 1 if a task failed or was skipped, 3 if not all is recorded.

        124 if the run timed out, 128 + N after signal N.
        """
        if self.timed_out is not None:
            return 124
        if self.signal is not None:
            return 128 + self.signal
        if not self.recorded:
            return 3
        return 0 if self.ok else 1

    def summary(self) -> str:
        """Return the last line of the printed report: ``9 tasks: 7 ok, 1 failed, 1 skipped in 7.02 s``."""
        notes = {
            Status.OK: (self.reused, self.reused_as.value),
            Status.FAILED: (self.allowed, "allowed"),
            Status.SKIPPED: (self.not_needed, "not needed"),
            Status.INTERRUPTED: (self.not_started, "not started"),
        }
        counts = []
        for status, count in self.counts.items():
            of_them, note = notes.get(status, (0, ""))
            if count or status is Status.OK:
                counts.append(f"{count} {status.label}" + (f" ({of_them} {note})" if of_them else ""))
        many = "1 task" if len(self) == 1 else f"{len(self)} tasks"
        timed_out = "" if self.timed_out is None else f", timed out after {self.timed_out:g} s"
        return f"{many}: {', '.join(counts)} in {self.seconds:.2f} s{timed_out}"

    def __repr__(self) -> str:
        return f"<Report {self.summary()}>"

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Result]:
        if self.measures is not None:
            yield from map(self._result, range(len(self._tasks)))
            return
        find, make, ok = self._outcomes.get, tuple.__new__, Status.OK
        for number, (task, status) in enumerate(zip(self._tasks, self._statuses, strict=True)):
            found = find(number)
            # The same as _result(number), in half of its time.
            if found is None:
                yield make(Result, (task.name, _STATUSES[status], "", int(status == ok), None, None, b""))
            else:
                yield make(Result, (task.name, found.status, found.reason, found.attempt, None, None, b""))

    def __getitem__(self, name: str) -> Result:
        if not self._numbers:
            self._numbers = {task.name: number for number, task in enumerate(self._tasks)}
        return self._result(self._numbers[name])

    def outcome(self, number: int) -> Outcome:
        """Return how a task ended; without ``usage`` if there is nothing else to say of it."""
        found = self._outcomes.get(number)
        return _PLAIN[self._statuses[number]] if found is None else found

    def location(self, number: int) -> str:
        """Return where in its document a task is, ``FILE:LINE:COLUMN`` if it was read from a text; empty if unknown."""
        return "" if self._location is None else self._location(number)

    def _result(self, number: int) -> Result:
        found = self._outcomes.get(number)
        if found is None:
            status = _STATUSES[self._statuses[number]]
            result = Result(self._tasks[number].name, status, "", int(status is Status.OK))
        else:
            result = Result(self._tasks[number].name, found.status, found.reason, found.attempt)
        if self.measures is None:
            return result
        durations, usages, outputs = self.measures
        return result._replace(
            duration=durations.get(number), usage=usages.get(number), output=outputs.get(number, b"")
        )


def exit_outcome(code: int | None) -> Outcome:
    """Return the outcome for an exit code in the form of ``subprocess``: negative for a signal, None if lost."""
    if code == 0:
        return OK
    if code is None:
        return Outcome(Status.FAILED, Cause.STATUS_LOST)
    if code > 0:
        return Outcome(Status.FAILED, Cause.EXIT, code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        # A real-time signal between the two that have names.
        name = f"signal {-code}"
    return Outcome(Status.FAILED, Cause.SIGNAL, name)

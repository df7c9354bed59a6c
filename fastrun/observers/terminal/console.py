"""The console: prints Started, the tasks' output in whole lines, Ended and the report.

Knows lines and names. Does not know how tasks run, nor when text is written.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from fastrun.document.task import Task
from fastrun.observers.frames import last_bytes
from fastrun.observers.terminal.prefixes import prefix_columns, prefix_of, prefixed
from fastrun.observers.writer.batch import Batch
from fastrun.observers.writer.spool import Spool
from fastrun.observers.writer.writer import Writer
from fastrun.outcome import Cause, Outcome, Report, Start, Status
from fastrun.protocols import STDERR, STDOUT, Observer
from fastrun.text import all_printable, printable

MODES = ("stream", "prefix", "group", "quiet")
REPORTS = ("all", "problems", "none")

_OK = Status.OK

# Most lines of the report that are joined for one write.
_LINES_AT_ONCE = 10_000

# Bytes kept of the end of what a running task prints: it grows to twice as many before it is cut, so that not each
# output cuts it. And the most failures that are shown with such an end.
_TAIL = 1 << 12
_FAILURES = 20

# Select graphic rendition, ECMA-48 8.3.117.
_COLORS = {Status.OK: "\x1b[32m", Status.FAILED: "\x1b[31m", Status.SKIPPED: "\x1b[33m", Status.INTERRUPTED: "\x1b[35m"}
_FAINT = "\x1b[2m"
_PLAIN = "\x1b[m"


class Console(Observer):
    """Prints a run, in one of four modes.

    ``stream`` prints a task's lines as they come, ``prefix`` each with the task's name before it. ``group`` prints them
    as one block under the task's name, before its ``Ended`` line. ``quiet`` prints such blocks only of tasks that
    failed or were interrupted.
    """

    def __init__(
        self,
        mode: str = "stream",
        *,
        verbose: bool = False,
        report: str = "all",
        color: bool = False,
        error_color: bool = False,
        folds: bool = False,
        stdout: int = 1,
        stderr: int = 2,
        writer: Writer | None = None,
        log: Callable[[int], str] | None = None,
        times: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        """``mode``: ``stream``, ``prefix``, ``group`` or ``quiet``. ``verbose``: show each command as it starts.

        ``report``: ``all`` for every task and the failures, ``problems`` without tasks that are ok, ``none`` for
        ``Report:`` and the counts alone.
        ``color``, ``error_color``: of standard output, of standard error. ``folds``: blocks fold in GitHub's log.
        ``stdout``, ``stderr``: file descriptors. ``writer``: writes to both, instead of a writer of its own.
        ``log``: gives the file of a task's output, by its number. ``times``: gives lines of the report.
        """
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        if report not in REPORTS:
            raise ValueError(f"report must be one of {', '.join(REPORTS)}, not {report!r}")
        self._mode = mode
        self._holds_back = mode in ("group", "quiet")
        self._verbose = verbose
        self._report = report
        self._color = color
        self._error_color = error_color
        faint = _FAINT if color else ""
        # With a place for the task's name.
        self._started = _line("Started: %s", faint)
        self._ended = {
            status: _line("Ended : %s", faint if status is _OK else _COLORS[status] if color else "")
            for status in _COLORS
        }
        # Whether all names are printable as they are.
        self._plain_names = False
        self._folds = folds
        self._log = log or _nothing
        self._times = times
        self._batch = Batch(Writer({STDOUT: stdout, STDERR: stderr}) if writer is None else writer)
        self._one_stream = os.path.sameopenfile(stdout, stderr)
        self._tasks: Sequence[Task] = ()
        # In mode ``prefix``: columns of a prefix, and the prefixes of running tasks.
        self._columns = 0
        self._prefixes: dict[int, bytes] | None = {} if mode == "prefix" else None
        # By running task, the block that is held back until its end; None if its lines are not held back.
        self._blocks: dict[int, Spool | None] = {}
        # By task and stream, the beginning of a line whose end has not come.
        self._beginnings: dict[tuple[int, int], Spool] = {}
        # By running task that has printed something, the end of that.
        self._tails: dict[int, bytes | bytearray] = {}
        # By number, the first tasks that failed and were not allowed to: the outcome, and the end of what was printed.
        self._failures: dict[int, tuple[Task, Outcome, bytes]] = {}
        # By outcome, how many tasks were skipped with it.
        self._skips: dict[Outcome, int] = {}
        # Tasks that did not end well: in quiet mode processes that they left behind may still print.
        self._failed_tasks: set[int] = set()
        self._complete = False
        # Whether a line of fastrun's own was printed on standard error.
        self.has_said_more = False

    @property
    def congested(self) -> bool:
        """Return whether the terminal, or the process that reads the pipe, is behind."""
        return self._batch.writer.congested

    @property
    def one_stream(self) -> bool:
        """Return whether standard output and error are the same file, as with ``2>&1``."""
        return self._one_stream

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Write in the turns of this loop from now on."""
        self._tasks = tasks
        self._plain_names = all_printable([task.name for task in tasks])
        if self._prefixes is not None:
            self._columns = prefix_columns(tasks)
        self._batch.begin(asyncio.get_running_loop())

    def task_started(self, number: int, task: Task, start: Start) -> None:
        """Print the ``Started`` line, before its first attempt."""
        if self._verbose:
            if start.why:
                self._batch.put((STDERR, f"fastrun: {task.label}: runs: {start.why}\n".encode()))
            self._batch.put((STDERR, f"fastrun: {task.label}: {task.type}: {printable(task.text)}\n".encode()))
        if start.attempt > 1:
            return
        line = self._started % (task.name if self._plain_names else printable(task.name))
        if self._prefixes is not None:
            self._prefixes[number] = prefix_of(task, self._columns)
        if not self._holds_back:
            self._blocks[number] = None
            self._batch.put_line(line)
            return
        block = self._blocks[number] = Spool()
        if self._mode == "quiet":
            block.append(STDOUT, line.encode())
        else:
            self._batch.put_line(line)

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:
        """Print the whole lines, and keep the rest."""
        if number in self._tails or len(data) > _TAIL:
            self._keep_tail(number, task, stream, data)
        elif number in self._blocks:
            # Most tasks print nothing more.
            self._tails[number] = data
        key = (number, stream)
        if self._prefixes is not None:
            prefix = self._prefixes.get(number) or prefix_of(task, self._columns)
            data = prefixed(data, prefix, within_a_line=key in self._beginnings)
        end = data.rfind(b"\n") + 1
        if end:
            beginning = self._beginnings.pop(key, None)
            if beginning is not None:
                self._put_lines(number, beginning)
            self._put_lines(number, (stream, data if end == len(data) else data[:end]))
        if end < len(data):
            beginning = self._beginnings.get(key)
            if beginning is None:
                beginning = self._beginnings[key] = Spool()
            beginning.append(stream, data[end:])

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        """Print the text that was kept, and the ``Ended`` line; nothing for a task that never started."""
        if number not in self._blocks:
            self._never_started(number, task, outcome)
            return
        if self._beginnings:
            self._end_line(number, STDOUT)
            self._end_line(number, STDERR)
        tail = self._tails.pop(number, b"") if self._tails else b""
        ok = outcome.status is _OK
        if not ok and outcome.retry_in is not None:
            self._retry(number, task, outcome, outcome.retry_in)
            return
        block = self._blocks.pop(number)
        if self._prefixes is not None:
            del self._prefixes[number]
        if block is not None:
            if ok and self._mode == "quiet":
                block.close()
                return
            self._put_block(task, block)
        if not ok:
            self._note_failure(number, task, outcome, tail)
        line = self._ended[outcome.status]
        self._batch.put_line(line % (task.name if self._plain_names else printable(task.name)))

    def tasks_ran(self, numbers: Sequence[int], tasks: Sequence[Task]) -> None:
        """Print the lines of all these tasks at once."""
        # A subclass may override the hooks for single tasks.
        if type(self) is not Console or self._mode != "stream" or self._verbose or not self._plain_names:
            super().tasks_ran(numbers, tasks)
            return
        lines = self._started + self._ended[_OK]
        self._batch.put_line("".join([lines % (name := tasks[number].name, name) for number in numbers]))

    def _note_failure(self, number: int, task: Task, outcome: Outcome, tail: bytes | bytearray) -> None:
        self._failed_tasks.add(number)
        if outcome.status is not Status.FAILED:
            return
        line = f"fastrun: {task.label}: {printable(outcome.reason)}"
        shown = _line(line, _COLORS[Status.FAILED] if self._error_color else "")
        self._batch.put((STDERR, shown.encode()))
        if not task.allow_failure and len(self._failures) < _FAILURES:
            self._failures[number] = task, outcome, bytes(tail)

    def _put_block(self, task: Task, block: Spool) -> None:
        """Print what a task has printed, in mode ``group`` under its name. Without output there is nothing to print."""
        if not block.size:
            return
        if self._mode == "quiet":
            # The block begins with a ``Started`` line.
            self._batch.put(block)
        elif self._folds:
            # As GitHub's ``toCommandValue`` escapes it.
            self._batch.put_line(f"::group::{task.label.replace('%', '%25')}\n")
            self._batch.put(block)
            self._batch.put_line("::endgroup::\n")
        else:
            self._batch.put_line(f"Output: {task.label}\n")
            self._batch.put(block)

    def _never_started(self, number: int, task: Task, outcome: Outcome) -> None:
        if outcome.retry_in is not None:
            self._retry(number, task, outcome, outcome.retry_in)
        elif outcome.status is Status.FAILED:
            self._note_failure(number, task, outcome, b"")
        elif outcome.status is Status.SKIPPED and outcome.cause is not Cause.NOT_NEEDED:
            self._skips[outcome] = self._skips.get(outcome, 0) + 1

    def tail(self, number: int) -> bytes:
        """Return the end of what a task has printed, on both streams, if it runs or was among the first that failed."""
        if number in self._failures:
            return self._failures[number][2]
        return bytes(self._tails.get(number, b""))

    def _keep_tail(self, number: int, task: Task, stream: int, data: bytes) -> None:
        if number not in self._blocks:
            # A process that outlived its task printed this.
            return
        tail = self._tails.get(number, b"")
        if self._beginnings and (number, STDOUT + STDERR - stream) in self._beginnings and tail[-1:] != b"\n":
            # The other stream is in the middle of a line.
            data = b"\n" + data
        if len(tail) + len(data) > 2 * _TAIL:
            self._tails[number] = last_bytes(tail, data, _TAIL, task)
            return
        if type(tail) is not bytearray:
            tail = self._tails[number] = bytearray(tail)
        tail += data

    def _retry(self, number: int, task: Task, outcome: Outcome, seconds: float) -> None:
        """Say that a task is tried again, and on standard error why and when."""
        line = f"Retrying: {printable(task.name)} (attempt {outcome.attempt + 1} of {outcome.attempts})\n"
        self._put_lines(number, (STDOUT, line.encode()))
        self._batch.put((STDERR, f"fastrun: {task.label}: {outcome.reason}; tried again in {seconds:.1f} s\n".encode()))

    def run_ended(self, report: Report) -> None:
        """Print the report: the tasks, what is said of the failures, and the counts."""
        for number, stream in list(self._beginnings):
            # Processes that outlived their task printed this.
            self._end_line(number, stream)
        lines = self._task_lines(report)
        while batch := "\n".join(islice(lines, _LINES_AT_ONCE)):
            self._batch.put_line(f"{batch}\n")
            self._batch.flush()
        if self._report != "none":
            if self._times is not None:
                self._put_section(self._times)
            self._put_section(lambda: self._failure_lines(report))
        self.print_line(report.summary())
        self._complete = True

    def _put_section(self, section: Callable[[], Iterable[str]]) -> None:
        """Print lines of the report. If they cannot be made, the rest is printed all the same."""
        try:
            for line in list(section()):
                self._batch.put_line(f"{line}\n")
        except Exception as error:
            # A snippet may have broken modules of Python that an import needs.
            self.warn(f"part of the report is missing: {error!r}")

    def _failure_lines(self, report: Report) -> Iterable[str]:
        if not self._failures:
            return ()
        from fastrun.observers.terminal.failures import Failure, Reused, failure_lines

        failures = [Failure(number, *failure) for number, failure in self._failures.items()]
        more = report.counts[Status.FAILED] - report.allowed - len(failures)
        reused = Reused(self._tasks, report) if report.reused else None
        # In quiet mode, and without the tasks that are ok, what they printed stands right above.
        shown = self._mode != "quiet" or self._report == "all"
        return failure_lines(failures, more, self._skips, report.location, self._log, reused, output=shown)

    def report_lines(self, report: Report) -> Iterator[str]:
        """Yield the lines of the report, without what is said of failures and times."""
        yield from self._task_lines(report)
        yield report.summary()

    def _task_lines(self, report: Report) -> Iterator[str]:
        yield "Report:"
        labels = {status: f"{status.label:<8}" for status in Status}
        if self._color:
            labels |= {status: f"{color}{labels[status]}{_PLAIN}" for status, color in _COLORS.items()}
        only_problems = self._report == "problems"
        for name, status, reason, attempts, _, _, _ in report if self._report != "none" else ():
            if only_problems and status is _OK:
                continue
            if status is Status.INTERRUPTED and not attempts:
                # The counts say how many these are.
                continue
            line = f"{labels[status]} {name if self._plain_names else printable(name)}"
            yield f"{line}  {printable(reason)}" if reason else line

    def print_line(self, line: str) -> None:
        """Print a line on standard output."""
        self._batch.put_line(f"{line}\n")

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self.note(f"warning: {text}")

    def note(self, text: str) -> None:
        """Print a line of fastrun's own on standard error."""
        self.has_said_more = True
        self._batch.put((STDERR, f"fastrun: {printable(text)}\n".encode()))

    def close(self, timeout: float | None = None) -> bool:
        """Wait until all is written, at most ``timeout`` seconds. Return whether it is, report included."""
        self._batch.flush()
        writer = self._batch.writer
        return writer.close(timeout) and self._complete and not writer.failed

    def _put_lines(self, number: int, lines: tuple[int, bytes] | Spool) -> None:
        """Print whole lines of a task, or keep them in its block."""
        block = self._blocks.get(number)
        pieces = lines.pieces() if isinstance(lines, Spool) else [lines]
        if block is not None:
            for stream, data in pieces:
                block.append(stream, data)
        elif self._mode != "quiet" or number in self._failed_tasks:
            self._batch.put_output(lines)

    def _end_line(self, number: int, stream: int) -> None:
        """Print the rest of a line whose end has not come, with an end."""
        beginning = self._beginnings.pop((number, stream), None)
        if beginning is not None:
            beginning.append(stream, b"\n")
            self._put_lines(number, beginning)


def _nothing(_: int) -> str:
    return ""


def _line(text: str, color: str) -> str:
    """Return a line with its end, in a colour unless that is empty."""
    return f"{color}{text}{_PLAIN}\n" if color else f"{text}\n"

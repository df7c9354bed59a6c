"""What a run prints: Started, the tasks' output in whole lines, Ended, the report.

Knows lines and names; not how tasks run. What happens within one turn of the loop is written at once.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

from fastrun.observers.spool import Spool
from fastrun.observers.writer import Writer
from fastrun.protocols import STDERR, STDOUT, Observer, Outcome, Report, Start, Status
from fastrun.spec import Task, printable

MODES = ("stream", "group", "quiet")

# Lines of the report that are joined before they are handed on.
_LINES_AT_ONCE = 10_000


class Console(Observer):
    """Prints a run.

    ``stream``: a task's lines as they come. ``group``: as one block before its ``Ended`` line. ``quiet``: such
    blocks, but only of tasks that failed or were interrupted.
    """

    def __init__(self, mode: str = "stream", *, verbose: bool = False, stdout: int = 1, stderr: int = 2) -> None:
        """``mode``: one of MODES. ``verbose``: show each command as it starts.

        ``stdout``, ``stderr``: file descriptors.
        """
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        self._mode = mode
        self._verbose = verbose
        self._writer = Writer({STDOUT: stdout, STDERR: stderr})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False
        # What is to be written: the pieces, and then these lines of STDOUT, which are most of all there is.
        self._pieces: list[tuple[int, bytes] | Spool] = []
        self._lines: list[bytes] = []
        # By task that runs: what is held back until its end, None where nothing is.
        self._blocks: dict[str, Spool | None] = {}
        # By task and stream: the beginning of a line whose end has not come.
        self._beginnings: dict[tuple[str, int], Spool] = {}
        # By task that is tried again: which attempt comes or runs.
        self._attempts: dict[str, int] = {}
        # Tasks that failed, in quiet mode: what they left behind may still print.
        self._failed_tasks: set[str] = set()
        self._complete = False

    @property
    def congested(self) -> bool:
        """Whether the terminal, or who reads the pipe, is behind."""
        return self._writer.congested

    def run_started(self, tasks: Sequence[Task]) -> None:  # noqa: ARG002
        """Write once per turn from now on."""
        self._loop = asyncio.get_running_loop()

    def task_started(self, task: Task, start: Start) -> None:
        """Print the ``Started`` line, before its first attempt."""
        if self._verbose:
            self._put((STDERR, f"fastrun: {task.label}: {task.type}: {printable(task.arguments)}\n".encode()))
        if start.attempt > 1:
            return
        line = f"Started: {printable(task.name)}\n".encode()
        if self._mode == "stream":
            self._blocks[task.name] = None
            self._put_line(line)
            return
        block = self._blocks[task.name] = Spool()
        if self._mode == "quiet":
            block.append(STDOUT, line)
        else:
            self._put_line(line)

    def task_output(self, task: Task, stream: int, data: bytes) -> None:
        """Print the lines that are whole, keep the rest."""
        key = (task.name, stream)
        end = data.rfind(b"\n") + 1
        if end:
            beginning = self._beginnings.pop(key, None)
            if beginning is not None:
                self._put_lines(task.name, beginning)
            self._put_lines(task.name, (stream, data if end == len(data) else data[:end]))
        if end < len(data):
            beginning = self._beginnings.get(key)
            if beginning is None:
                beginning = self._beginnings[key] = Spool()
            beginning.append(stream, data[end:])

    def task_ended(self, task: Task, outcome: Outcome) -> None:
        """Print what was kept and the ``Ended`` line; nothing for a task that never started."""
        if task.name not in self._blocks:
            return
        if self._beginnings:
            self._end_line(task.name, STDOUT)
            self._end_line(task.name, STDERR)
        if outcome.again is not None:
            self._retry(task, outcome, outcome.again)
            return
        if self._attempts:
            self._attempts.pop(task.name, None)
        block = self._blocks.pop(task.name)
        if self._mode == "quiet":
            if outcome.status is Status.OK:
                if block is not None:
                    block.close()
                return
            self._failed_tasks.add(task.name)
        if block is not None:
            self._put(block)
        self._put_line(f"Ended : {printable(task.name)}\n".encode())

    def _retry(self, task: Task, outcome: Outcome, seconds: float) -> None:
        """Say that a task is tried again, and on standard error why and when."""
        attempt = self._attempts[task.name] = self._attempts.get(task.name, 1) + 1
        self._put_lines(
            task.name,
            (STDOUT, f"Retrying: {printable(task.name)} (attempt {attempt} of {task.retries + 1})\n".encode()),
        )
        self._put((STDERR, f"fastrun: {task.label}: {outcome.reason}; tried again in {seconds:.1f} s\n".encode()))

    def run_ended(self, report: Report) -> None:
        """Print the report."""
        for name, stream in list(self._beginnings):
            # Of processes that outlived their task.
            self._end_line(name, stream)
        lines = _report_lines(report)
        while batch := "\n".join(islice(lines, _LINES_AT_ONCE)):
            self._put_line(f"{batch}\n".encode())
            self._flush()
        self._complete = True

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self._put((STDERR, f"fastrun: warning: {printable(text)}\n".encode()))

    def close(self, timeout: float | None = None) -> bool:
        """Wait until all is written, at most ``timeout`` seconds. Returns whether it is, report included."""
        self._flush()
        return self._writer.close(timeout) and self._complete and not self._writer.failed

    def _put(self, piece: tuple[int, bytes] | Spool) -> None:
        self._join_lines()
        self._pieces.append(piece)
        if not self._scheduled:
            self._schedule()

    def _put_line(self, line: bytes) -> None:
        self._lines.append(line)
        if not self._scheduled:
            self._schedule()

    def _join_lines(self) -> None:
        if self._lines:
            self._pieces.append((STDOUT, b"".join(self._lines)))
            self._lines.clear()

    def _put_lines(self, name: str, lines: tuple[int, bytes] | Spool) -> None:
        """Put whole lines of a task where they belong: out, or into its block."""
        block = self._blocks.get(name)
        pieces = lines.pieces() if isinstance(lines, Spool) else [lines]
        if block is not None:
            for stream, data in pieces:
                block.append(stream, data)
        elif self._mode != "quiet" or name in self._failed_tasks:
            self._put(lines)

    def _end_line(self, name: str, stream: int) -> None:
        """Give a last line without an end one."""
        beginning = self._beginnings.pop((name, stream), None)
        if beginning is not None:
            beginning.append(stream, b"\n")
            self._put_lines(name, beginning)

    def _schedule(self) -> None:
        if self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self._join_lines()
        if self._pieces:
            self._writer.write(self._pieces)
            self._pieces = []


def _report_lines(report: Report) -> Iterator[str]:
    yield "Report:"
    labels = {status: f"{status.label:<8}" for status in Status}
    for name, status, reason in report:
        line = f"{labels[status]} {printable(name)}"
        yield f"{line}  {printable(reason)}" if reason else line
    yield report.summary()

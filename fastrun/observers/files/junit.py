"""The run as JUnit XML for CI systems: each task is a test case.

Knows the timeline and the elements that the schemas of both Ant and Jenkins allow. Does not know which program reads
the file.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from fastrun import __version__
from fastrun.document.task import Task
from fastrun.observers.files.output import FileObserver, Output
from fastrun.observers.files.tails import Tails
from fastrun.observers.timeline import Span, Timeline
from fastrun.outcome import Outcome, Report, Result, Start, Status
from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.observers.files.logs import Logs

# Most tasks that are all listed. Of a larger document only failed tasks are: CI systems take seconds to read 10,000
# cases, and do not show so many well.
MOST_CASES = 10_000

# Most bytes that are kept of a task's output, and most lines of it that are listed.
_BYTES = 16 << 10
_LINES = 20

_CASES_AT_ONCE = 400

# Fewest seconds of waiting that are mentioned.
_NOTABLE_WAIT = 0.01

# Characters that XML 1.0 cannot represent.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
# A reader would turn line ends and tabs in an attribute into spaces.
_MORE_ESCAPES = {**_ESCAPES, ord("\n"): "&#10;", ord("\t"): "&#9;"}


class JUnit(FileObserver):
    """Writes the file at the end of the run. Comes after the timeline in the list of observers."""

    def __init__(self, file: Output, timeline: Timeline, suite: str, run_id: str, logs: "Logs | None" = None) -> None:
        """``suite``: the name of the test suite. ``run_id``: what the commands see. ``logs``: names their files."""
        super().__init__(file)
        self.complete = False
        self._timeline = timeline
        self._suite = suite
        self._run_id = run_id
        self._logs = logs
        self._tasks: Sequence[Task] = ()
        self._interrupted = "interrupted"
        self._tails = Tails(each=_BYTES)

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Note the tasks."""
        self._tasks = tasks

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """Keep the output from now on, without that of earlier attempts."""
        self._tails.begin(number, task)

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:  # noqa: ARG002
        """Keep the last output, both streams in one as in a terminal."""
        self._tails.add(number, data)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:  # noqa: ARG002
        """Keep the output of a failed task, and drop that of all others."""
        self._tails.end(number, keep=outcome.retry_in is None and outcome.status is Status.FAILED)

    def run_ended(self, report: Report) -> None:
        """Write the file."""
        all_listed = len(self._tasks) <= MOST_CASES
        if report.timed_out is not None:
            self._interrupted += f", as the run timed out after {report.timed_out:g} s"
        self.file.write(self._head(report, all_listed).encode())
        cases = self._cases(report, all_listed)
        while batch := "".join(islice(cases, _CASES_AT_ONCE)):
            self.file.write(batch.encode())
        self.file.write(b"<system-out>")
        lines = self._lines(report, all_listed)
        while batch := "".join(islice(lines, _CASES_AT_ONCE)):
            self.file.write(batch.encode())
        self.file.write(b"</system-out>\n<system-err/>\n</testsuite>\n</testsuites>\n")
        self.complete = True

    def _head(self, report: Report, all_listed: bool) -> str:
        counts = report.counts
        began = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._timeline.started_at))
        properties = {
            "fastrun": __version__,
            "run_id": self._run_id,
            "exit_code": str(report.exit_code),
            "listed": "all tasks" if all_listed else "tasks that failed",
        }
        if report.timed_out is not None:
            properties["timed_out"] = f"{report.timed_out:g}"
        lines = "".join(
            f'<property name="{name}" value="{_attribute(value)}"/>\n' for name, value in properties.items()
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
            f'<testsuite name="{_attribute(self._suite)}" package="fastrun" id="0" timestamp="{began}" '
            f'hostname="{_attribute(os.uname().nodename or "localhost")}" tests="{len(report)}" '
            f'failures="{counts[Status.FAILED] - report.allowed}" errors="{counts[Status.INTERRUPTED]}" '
            f'skipped="{counts[Status.SKIPPED] + report.allowed}" time="{report.seconds:.6f}">\n'
            f"<properties>\n{lines}</properties>\n"
        )

    def _cases(self, report: Report, all_listed: bool) -> Iterator[str]:
        class_name = _attribute(f"fastrun.{self._suite}")
        spans = self._timeline.spans
        for number, (task, result) in enumerate(zip(self._tasks, report, strict=True)):
            if all_listed or self._has_failed(number, result):
                content = self._content(number, result)
                span = spans.get(number)
                seconds = 0.0 if span is None else span.seconds
                head = f'<testcase name="{_attribute(task.name)}" classname="{class_name}" time="{seconds:.6f}"'
                yield f"{head}>{content}</testcase>\n" if content else f"{head}/>\n"

    def _lines(self, report: Report, all_listed: bool) -> Iterator[str]:
        """Yield what has no attribute in JUnit: attempts, why tasks ran, what they waited for and used, and where.

        A task without any of these has no line.
        """
        spans = self._timeline.spans
        for number, (task, result) in enumerate(zip(self._tasks, report, strict=True)):
            if all_listed or self._has_failed(number, result):
                log = "" if self._logs is None else self._logs.shown_path(number)
                said = "; ".join(_how(report.outcome(number), spans.get(number), log))
                if said:
                    yield _text(f"{task.label}: {said}\n")

    def _has_failed(self, number: int, result: Result) -> bool:
        return result.status is Status.FAILED and not self._tasks[number].allow_failure

    def _content(self, number: int, result: Result) -> str:
        """Return the element that says why a case is not a success, empty if it is a success."""
        status, message = result.status, _attribute(result.reason)
        if status is Status.OK:
            return ""
        if status is Status.INTERRUPTED:
            return f'<error type="interrupted" message="{self._interrupted}"/>'
        if status is Status.SKIPPED or self._tasks[number].allow_failure:
            return f'<skipped message="{message}"/>'
        tail = self._tails.kept.get(number)
        output = "" if tail is None else _text(tail.text(self._tasks[number], _LINES)[0])
        return f'<failure type="failed" message="{message}">{output}</failure>'


def _how(outcome: Outcome, span: Span | None, log: str) -> Iterator[str]:
    if outcome.attempts > 1:
        yield f"attempt {outcome.attempt} of {outcome.attempts}"
    if span is None:
        if outcome.status is Status.OK:
            yield outcome.reason
        return
    if span.start.why:
        yield f"ran: {span.start.why}"
    waited = span.began - span.ready
    if waited >= _NOTABLE_WAIT:
        yield f"waited {waited:.3f} s for {span.held_by}"
    if span.usage is not None:
        yield f"{span.usage.cpu_seconds:.3f} s of processor time"
        if span.usage.peak_bytes is not None:
            yield f"{span.usage.peak_bytes / (1 << 20):.1f} MiB of memory"
    if span.start.worker is not None:
        yield f"on {printable(span.start.worker)}"
    if log:
        yield f"log {log}"


def _attribute(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text).translate(_MORE_ESCAPES)


def _text(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text).translate(_ESCAPES)

"""The events of a run as JSON Lines, for programs that follow a run or read about it later.

docs/events.md and events.schema.json define the lines. The events of one turn of the loop are written at once, in whole
lines, and flushed, so that they outlive this process. Knows the timeline and JSON. Does not know where the file is.
"""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastrun import __version__
from fastrun.document.task import Task
from fastrun.observers.files.details import Details
from fastrun.observers.files.output import FileObserver, Output, OutputStream
from fastrun.observers.timeline import Moment, Span, Timeline, Together, quoted
from fastrun.outcome import FIRST_START, OK, Report, Start

if TYPE_CHECKING:
    from fastrun.observers.files.logs import Logs

# The schema of a line, for ``--schema events`` and for programs that validate.
EVENTS_SCHEMA_PATH = os.path.join(os.path.dirname(__file__), "events.schema.json")

# Version of the format. It changes only if a key is removed or changes its meaning.
VERSION = 1

_NO_LOG = ',"log":null'

_HEAD = f'{{"v":{VERSION},"n":'


class EventLog(FileObserver):
    """Writes one event per line. Comes after the timeline in the list of observers."""

    def __init__(self, file: Output, timeline: Timeline, run_id: str, logs: "Logs | None" = None) -> None:
        """``run_id``: the id that the commands see. ``logs``: names the files of the attempts."""
        super().__init__(file)
        self.complete = False
        self._timeline = timeline
        self._run_id = run_id
        self._details = Details()
        self._logs = logs
        # The number of the last line.
        self._number = 0
        # The second of the last line, since the epoch and as text.
        self._second = -1
        self._wall = ""
        timeline.follow(self._write_turn)

    @property
    def congested(self) -> bool:
        """Whether the reader of the pipe is behind."""
        return isinstance(self.file, OutputStream) and self.file.congested

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Write the first line."""
        about = {"fastrun": __version__, "run_id": self._run_id, "pid": os.getpid(), "tasks": len(tasks)}
        self._write(self._line(0.0, "run_started", about))

    def run_ended(self, report: Report) -> None:
        """Write the last line."""
        about = {
            "counts": {status.label: count for status, count in report.counts.items()},
            "exit_code": report.exit_code,
            "signal": report.signal,
            "timed_out": report.timed_out,
        }
        self._write(self._line(self._timeline.seconds, "run_ended", about))
        self.complete = True

    def _write_turn(self, moments: Sequence[Moment | Together]) -> None:
        """Write the events of one turn."""
        lines: list[str] = []
        head, members = _HEAD, self._details.of
        last = math.nan
        started = ended = ""
        for moment in moments:
            if moment[0] != last:
                last = moment[0]
                when = self._when(last)
                started, ended = (f',"type":"{type_}",{when},"name":' for type_ in ("task_started", "task_ended"))
            if isinstance(moment, Together):
                lines += self._together(moment, started, ended)
                continue
            _, task, outcome, span = moment
            self._number = count = self._number + 1
            if outcome is not None:
                log = _NO_LOG if self._logs is None else self._log(span)
                lines.append(f"{head}{count}{ended}{quoted(task.name)},{members(outcome, span)}{log}}}\n")
            elif span is not None:
                more = _FIRST if span.start is FIRST_START else _started(span.start)
                log = _NO_LOG if self._logs is None else self._log(span)
                lines.append(f"{head}{count}{started}{quoted(task.name)},{more}{log}}}\n")
        self._write("".join(lines))

    def _together(self, moment: Together, started: str, ended: str) -> list[str]:
        """Return the lines of many snippets, two in each text. ``started``, ``ended``: what precedes the names."""
        tasks, head = moment.tasks, _HEAD
        numbers = range(self._number + 1, self._number + 1 + 2 * len(tasks), 2)
        self._number += 2 * len(tasks)
        names = moment.names
        if self._logs is not None:
            spans = map(moment.span, range(len(tasks)))
            more = [(self._log(span), self._details.of(OK, span)) for span in spans]
            return [
                f"{head}{number}{started}{name},{_FIRST}{log}}}\n{head}{number + 1}{ended}{name},{went}{log}}}\n"
                for number, name, (log, went) in zip(numbers, names, more, strict=True)
            ]
        began = f",{_FIRST}{_NO_LOG}}}\n{head}"
        if moment.ready.count(moment.ready[0]) == len(tasks):
            went = f",{self._details.of(OK, moment.span(0))}{_NO_LOG}}}\n"
            return [
                f"{head}{number}{started}{name}{began}{number + 1}{ended}{name}{went}"
                for number, name in zip(numbers, names, strict=True)
            ]
        members = [self._details.of(OK, moment.span(index)) for index in range(len(tasks))]
        return [
            f"{head}{number}{started}{name}{began}{number + 1}{ended}{name},{went}{_NO_LOG}}}\n"
            for number, name, went in zip(numbers, names, members, strict=True)
        ]

    def _log(self, span: Span | None) -> str:
        """Return the member for the file of an attempt."""
        if self._logs is None or span is None:
            return _NO_LOG
        return f',"log":{quoted(self._logs.path_for_user(span.number, span.start.attempt))}'

    def _line(self, at: float, type_: str, about: Mapping[str, Any]) -> str:
        self._number += 1
        members = json.dumps(about, separators=(",", ":"))[1:-1]
        return f'{_HEAD}{self._number},"type":"{type_}",{self._when(at)},{members}}}\n'

    def _when(self, at: float) -> str:
        """Return the members for the time, to the microsecond."""
        seconds, micros = divmod(int((self._timeline.started_at + at) * 1e6), 1_000_000)
        if seconds != self._second:
            self._second = seconds
            self._wall = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f'"time":"{self._wall}.{micros:06d}Z","seconds":{at:.6f}'

    def _write(self, lines: str) -> None:
        self.file.write(lines.encode())
        self.file.flush()


def _started(start: Start) -> str:
    pid = "null" if start.pid is None else start.pid
    worker = "null" if start.worker is None else quoted(start.worker)
    why = quoted(start.why) if start.why else "null"
    return f'"attempt":{start.attempt},"attempts":{start.attempts},"pid":{pid},"worker":{worker},"why":{why}'


_FIRST = _started(FIRST_START)

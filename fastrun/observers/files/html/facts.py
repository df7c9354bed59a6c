"""The facts that a page shows of a run: numbers, names and texts, as JSON allows them.

Knows tasks, the timeline and the report. Does not know how a page looks. What would make the page too large is left
out, and ``notes`` say so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any
from urllib.parse import quote

from fastrun.document.task import Task
from fastrun.observers.files.html.sketch import Sketch, sketch
from fastrun.observers.files.tails import Tail
from fastrun.observers.timeline import Span, Timeline
from fastrun.outcome import Cause, Report, Status
from fastrun.text import printable, shown

# Most tasks that a page lists, and most bytes of their names. With all the limits below a page stays under 20 MB.
ROWS = 100_000
_NAME_BYTES = 4 << 20

# Most failures that are shown with their output, and most reasons of skips that are listed.
FAILURES = 200
_SKIPS = 100

# Slowest tasks that are listed in any case if a page has no room for all tasks.
_LONGEST = 1000

# Most dependencies that are listed per task, and most characters of the command of a failed task, of another task, and
# of all commands.
_NEEDS = 300_000
_COMMAND_FAILED = 8000
_COMMAND = 400
_COMMANDS = 2 << 20

# Most characters of a reason, which may quote an exception, and of all different reasons.
_REASON = 400
_REASONS = 2 << 20

# Parts of equal length into which the chart divides the run.
_PARTS = 1000

_ENDED_BADLY = (Status.FAILED, Status.INTERRUPTED)


class Facts:
    """Collects the facts of a run."""

    def __init__(
        self,
        tasks: Sequence[Task],
        timeline: Timeline,
        report: Report,
        *,
        earlier: Sequence[Span],
        tails: Mapping[int, Tail],
        logs: Sequence[str] | None = None,
    ) -> None:
        """``earlier``: attempts that were followed by another. ``tails``: by number, the output that was kept.

        ``logs``: by number, the path of each task's log, relative to the page.
        """
        self._tasks = tasks
        self._timeline = timeline
        self._earlier = earlier
        self._spans = [*timeline.spans.values(), *earlier]
        self._tails = tails
        self._logs = logs
        self._report = report
        self._results = list(report)
        skipped = (report.outcome(n) for n, result in enumerate(self._results) if result.status is Status.SKIPPED)
        # Tasks that are not needed are as the user wants them.
        self._skipped = Counter(outcome for outcome in skipped if outcome.cause is not Cause.NOT_NEEDED)
        self._labels = [task.label for task in tasks]
        numbers = {task.name: number for number, task in enumerate(tasks)}
        # If only a part of a document runs, some dependencies are missing.
        self._needs = [[numbers[name] for name in dict.fromkeys(t.dependencies) if name in numbers] for t in tasks]
        self._path = timeline.critical_path()
        self._notes: list[str] = []

    def all(self) -> dict[str, Any]:
        """Return all facts, by topic."""
        path = [span.number for span in self._path]
        rows = self._chosen(path)
        row_of = {number: row for row, number in enumerate(rows)}
        drawn = sketch(self._labels, self._needs, pairwise(path))
        return {
            "run": self._run(),
            "tasks": self._columns(rows, row_of, [drawn.groups[number] for number in rows]),
            "earlier": self._earlier_attempts(row_of),
            "failures": self._failures(row_of),
            "skips": self._skips(row_of),
            "path": self._critical_path(path, row_of),
            "running": self._running(),
            "graph": self._graph(drawn, path),
            "notes": self._notes,
        }

    def _run(self) -> dict[str, Any]:
        report, timeline = self._report, self._timeline
        return {
            "seconds": timeline.seconds,
            "started": timeline.started_at,
            "ok": report.ok,
            "interrupted": report.interrupted,
            "timedOut": report.timed_out,
            "tasks": len(report),
            "counts": {status.label: count for status, count in report.counts.items()},
            "reused": report.reused,
            "reusedAs": report.reused_as.value,
            "allowed": report.allowed,
            "notNeeded": report.not_needed,
            "notStarted": report.not_started,
            "most": timeline.most,
            "busy": timeline.busy,
            "cpu": sum(span.usage.cpu_seconds for span in self._spans if span.usage is not None),
        }

    def _chosen(self, path: Sequence[int]) -> list[int]:
        """Return the numbers of the tasks that are listed, in their order."""
        many = len(self._tasks)
        size = sum(len(label.encode()) for label in self._labels)
        room = min(ROWS, many * _NAME_BYTES // max(size, 1))
        if many <= room:
            return list(range(many))
        spans = self._timeline.spans.values()
        longest = sorted(spans, key=lambda span: span.seconds, reverse=True)[:_LONGEST]
        failed = [number for number, result in enumerate(self._results) if result.status in _ENDED_BADLY]
        chosen = dict.fromkeys([*failed, *path, *(span.number for span in longest)])
        others = [number for number in range(many) if number not in chosen]
        left = max(room - len(chosen), 0)
        # Evenly spaced, so that each part of the document is represented.
        sample = [others[position * len(others) // left] for position in range(left)]
        self._notes.append(
            f"{room:,} of {many:,} tasks are in the table and the timeline: failed tasks, the critical path, the "
            "longest and a sample of the others. Counts, the chart and the drawing include all tasks."
        )
        return sorted([*chosen, *sample][:room])

    def _columns(self, rows: Sequence[int], row_of: Mapping[int, int], groups: list[int]) -> dict[str, Any]:
        """Return a list per property, with a value for each listed task. Times are in microseconds."""
        spans = [self._timeline.spans.get(number) for number in rows]
        results = [self._results[number] for number in rows]
        if self._earlier:
            self._notes.append("For tasks with several attempts the table and the details show the last attempt.")
        return {
            "name": [self._labels[number] for number in rows],
            "type": _coded(self._tasks[number].type for number in rows),
            "status": _coded(result.status.label for result in results),
            "reason": _shortened(_coded(shown(result.reason) for result in results)),
            "why": _shortened(_coded(span.start.why if span else "" for span in spans)),
            "ready": [span and _micro(span.ready) for span in spans],
            "began": [span and _micro(span.began) for span in spans],
            "ended": [span and _micro(self._ended(span)) for span in spans],
            "slot": [span and span.slot for span in spans],
            "worker": _coded(_worker(span) for span in spans),
            "heldBy": _coded(span.held_by if span else "" for span in spans),
            "attempt": [self._attempt(number) for number in rows],
            "cpu": [_micro(span.usage.cpu_seconds) if span and span.usage else None for span in spans],
            "peak": [span.usage.peak_bytes if span and span.usage else None for span in spans],
            "group": groups,
            "command": self._commands(rows),
            "needs": self._needs_rows(rows, row_of),
            # Quoted it has no colon, so that it cannot have a scheme such as ``javascript:``.
            "log": None if self._logs is None else [quote(self._logs[number]) for number in rows],
        }

    def _attempt(self, number: int) -> int | None:
        """Return the number of the last attempt, which may be an attempt that could not start."""
        attempt = self._report.outcome(number).attempt
        span = self._timeline.spans.get(number)
        return span.start.attempt if span is not None and not attempt else attempt or None

    def _earlier_attempts(self, row_of: Mapping[int, int]) -> list[list[int | str]]:
        """Return the earlier attempts, each as row, slot, the times of ready, begin and end, and the worker."""
        found: list[list[int | str]] = []
        for span in self._earlier:
            row = row_of.get(span.number)
            if row is not None:
                times = map(_micro, (span.ready, span.began, self._ended(span)))
                found.append([row, span.slot, *times, _worker(span)])
        return found

    def _ended(self, span: Span) -> float:
        return self._timeline.seconds if span.ended is None else span.ended

    def _commands(self, rows: Sequence[int]) -> list[str] | None:
        """Return the tasks' commands, None if they are too much for a page."""
        commands = [self._tasks[number].text[: _COMMAND + 1] for number in rows]
        if sum(map(len, commands)) > _COMMANDS:
            self._notes.append("Commands are shown only for tasks that failed.")
            return None
        return [_text(command, _COMMAND) for command in commands]

    def _needs_rows(self, rows: Sequence[int], row_of: Mapping[int, int]) -> list[list[int]] | None:
        """Return the rows of each task's dependencies, None if they are too many for a page."""
        if sum(len(self._needs[number]) for number in rows) > _NEEDS:
            self._notes.append("There are too many dependencies to list those of each task.")
            return None
        return [[row_of[other] for other in self._needs[number] if other in row_of] for number in rows]

    def _failures(self, row_of: Mapping[int, int]) -> list[dict[str, Any]]:
        """Return the failed tasks, then the interrupted ones, each with what a person needs to see first."""
        skips = {outcome.root: count for outcome, count in self._skipped.items()}
        found = [
            (number, result, skips.get(number, 0))
            for number, result in enumerate(self._results)
            if result.status is Status.FAILED
            or (result.status is Status.INTERRUPTED and number in self._timeline.spans)
        ]
        # First the failures for which most tasks were skipped. Allowed failures come last.
        found.sort(key=lambda failure: (self._tasks[failure[0]].allow_failure, failure[1].status, -failure[2]))
        if len(found) > FAILURES:
            self._notes.append(f"{FAILURES} of {len(found):,} failures are shown with their command and output.")
        return [
            self._failure(row_of[number], number, skips) for number, _, skips in found[:FAILURES] if number in row_of
        ]

    def _failure(self, row: int, number: int, skips: int) -> dict[str, Any]:
        task = self._tasks[number]
        output, cut = self._tails.get(number, Tail(b"", cut=False)).text(task)
        return {
            "row": row,
            "skips": skips,
            "allowed": task.allow_failure,
            "command": _text(task.text, _COMMAND_FAILED),
            "cwd": printable(task.cwd) if task.cwd else "",
            "output": output,
            "cut": cut,
        }

    def _skips(self, row_of: Mapping[int, int]) -> list[dict[str, Any]]:
        """Return why tasks were skipped, the most frequent reason first: ``37 skipped: compile:x failed``."""
        return [
            {
                "reason": shown(outcome.reason),
                "count": count,
                "row": None if outcome.root is None else row_of.get(outcome.root),
            }
            for outcome, count in self._skipped.most_common(_SKIPS)
        ]

    def _critical_path(self, path: Sequence[int], row_of: Mapping[int, int]) -> dict[str, Any]:
        """Return the chain of tasks that determined how long the run took, in their order."""
        on_path = {span.number for span in self._path}
        earlier = [span for span in self._earlier if span.number in on_path]
        return {
            "tasks": len(path),
            "seconds": sum(span.all_seconds for span in self._path),
            "retried": sum(span.seconds for span in earlier),
            "waited": sum(span.began - span.ready for span in [*self._path, *earlier] if span.start.attempt == 1),
            "rows": [row_of[number] for number in path if number in row_of],
        }

    def _running(self) -> dict[str, list[int]]:
        """Return the most tasks that ran at once in each part of the run: of ``all``, and of each type."""
        types = sorted(self._timeline.most)[::-1]
        changes: dict[str, list[tuple[float, int]]] = {type_: [] for type_ in types}
        for span in self._spans:
            changes[span.task.type] += [(span.began, 1), (self._ended(span), -1)]
        scale = _PARTS / max(self._timeline.seconds, 1e-9)
        found = {type_: _most_in_parts(moments, scale) for type_, moments in changes.items()}
        return {"all": found[types[0]] if len(types) == 1 else _most_in_parts(chain(*changes.values()), scale), **found}

    def _graph(self, drawn: Sketch, path: Sequence[int]) -> dict[str, Any]:
        """Return the drawing of the dependencies, with each group's counts by status and the critical path."""
        counts: list[Counter[str]] = [Counter() for _ in drawn.labels]
        for group, result in zip(drawn.groups, self._results, strict=True):
            counts[group][result.status.label] += 1
        on_path = [drawn.groups[number] for number in path]
        path_edges = set(pairwise(on_path))
        return {
            "grouped": drawn.grouped,
            "nodes": [{"label": label, "counts": count} for label, count in zip(drawn.labels, counts, strict=True)],
            "path": sorted(set(on_path)),
            "edges": [[a, b, (a, b) in path_edges] for a, b in drawn.edges],
        }


def _most_in_parts(moments: Iterable[tuple[float, int]], scale: float) -> list[int]:
    """Return the highest value of a count in each part of the run. ``moments``: when it changes, and by how much."""
    most = [0] * _PARTS
    running, part = 0, -1
    for moment, change in sorted(moments):
        here = min(int(moment * scale), _PARTS - 1)
        for between in range(part + 1, here + 1):
            most[between] = running
        part = here
        running += change
        most[here] = max(most[here], running)
    return most


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _worker(span: Span | None) -> str:
    """Return the worker of a cluster on which an attempt ran, empty for this machine."""
    return "" if span is None else printable(span.start.worker or "")


def _coded(values: Iterable[str]) -> dict[str, list[Any]]:
    """Return a column of few different texts: each text once, and for each value the position of its text."""
    code_of: dict[str, int] = {}
    codes = []
    for value in values:
        code = code_of.get(value)
        if code is None:
            code = code_of[value] = len(code_of)
        codes.append(code)
    return {"values": list(code_of), "codes": codes}


def _shortened(column: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Shorten the reasons of a column: each one to a limit, which is lower if there are very many."""
    limit = min(_REASON, max(_REASONS // len(column["values"] or [""]), 20))
    column["values"] = [value if len(value) <= limit else f"{value[:limit]}…" for value in column["values"]]
    return column


def _text(text: str, limit: int) -> str:
    """Return a text of several lines, cut to ``limit`` characters and safe to show."""
    if text.isprintable() and len(text) <= limit:
        return text
    return "\n".join(map(shown, text[:limit].split("\n"))) + (" …" if len(text) > limit else "")

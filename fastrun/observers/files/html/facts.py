"""What a page says of a run: numbers, names and texts, as JSON can hold them.

Knows tasks, the timeline and the report. Does not know how a page looks. What would make it too large is left out, and
that is said in ``notes``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from fastrun.document.task import Task
from fastrun.observers.files.html.sketch import Sketch, sketch
from fastrun.observers.files.tails import Tail
from fastrun.observers.timeline import Span, Timeline
from fastrun.outcome import Cause, Report, Status
from fastrun.text import printable, shown

# Tasks that a page lists, and bytes that their names may take. With all that follows a page stays below 20 MB.
ROWS = 100_000
_NAME_BYTES = 4 << 20

# Failures that are shown with their output, and reasons of skips that are listed.
FAILURES = 200
_SKIPS = 100

# Of those that a page has no room for, the ones that took longest.
_LONGEST = 1000

# Dependencies that are told task by task, and characters of commands: of one that failed, of another, and of all.
_NEEDS = 300_000
_COMMAND_FAILED = 8000
_COMMAND = 400
_COMMANDS = 2 << 20

# Characters of a reason, which may quote an exception, and of all that are different.
_REASON = 400
_REASONS = 2 << 20

# Places of a chart of the whole run.
_PARTS = 1000

_ENDED_BADLY = (Status.FAILED, Status.INTERRUPTED)


class Facts:
    """Puts together what there is to say of a run."""

    def __init__(
        self,
        tasks: Sequence[Task],
        timeline: Timeline,
        report: Report,
        *,
        earlier: Sequence[Span],
        tails: Mapping[int, Tail],
    ) -> None:
        """``earlier``: attempts that were followed by others. ``tails``: output that was kept, by task."""
        self._tasks = tasks
        self._timeline = timeline
        self._earlier = earlier
        self._spans = [*timeline.spans.values(), *earlier]
        self._tails = tails
        self._report = report
        self._results = list(report)
        skipped = (report.outcome(n) for n, result in enumerate(self._results) if result.status is Status.SKIPPED)
        # Tasks that are not needed are as they are to be.
        self._skipped = Counter(outcome for outcome in skipped if outcome.cause is not Cause.NOT_NEEDED)
        self._labels = [task.label for task in tasks]
        numbers = {task.name: number for number, task in enumerate(tasks)}
        # Where a part of a document runs, some dependencies are not there.
        self._needs = [[numbers[name] for name in dict.fromkeys(t.dependencies) if name in numbers] for t in tasks]
        self._path = timeline.critical_path()
        self._notes: list[str] = []

    def all(self) -> dict[str, Any]:
        """Everything, by what it is."""
        path = [span.number for span in self._path]
        rows = self._chosen(path)
        places = {number: row for row, number in enumerate(rows)}
        drawn = sketch(self._labels, self._needs, pairwise(path))
        return {
            "run": self._run(),
            "tasks": self._columns(rows, places, [drawn.groups[number] for number in rows]),
            "earlier": self._earlier_attempts(places),
            "failures": self._failures(places),
            "skips": self._skips(places),
            "path": self._critical_path(path, places),
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
            "interrupted": report.signal is not None,
            "tasks": len(report),
            "counts": {status.label: count for status, count in report.counts.items()},
            "reused": report.reused,
            "allowed": report.allowed,
            "notNeeded": report.not_needed,
            "most": timeline.most,
            "busy": timeline.busy,
            "cpu": sum(span.usage.cpu_seconds for span in self._spans if span.usage is not None),
        }

    def _chosen(self, path: Sequence[int]) -> list[int]:
        """The numbers of the tasks that are listed, in their order."""
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
        # Evenly, so that each part of the document is there.
        sample = [others[place * len(others) // left] for place in range(left)]
        self._notes.append(
            f"{room:,} of {many:,} tasks are in the table and the timeline: those that failed, the critical path, the "
            "longest and a sample of the others. Counts, the chart and the drawing are of all."
        )
        return sorted([*chosen, *sample][:room])

    def _columns(self, rows: Sequence[int], places: Mapping[int, int], groups: list[int]) -> dict[str, Any]:
        """A list per property, each with a value per task that is listed. Times in millionths of a second."""
        spans = [self._timeline.spans.get(number) for number in rows]
        results = [self._results[number] for number in rows]
        if self._earlier:
            self._notes.append("Of tasks that were tried again the table and the details show the last attempt.")
        return {
            "name": [self._labels[number] for number in rows],
            "type": _coded(self._tasks[number].type for number in rows),
            "status": _coded(result.status.label for result in results),
            "reason": _shortened(_coded(shown(result.reason) for result in results)),
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
            "needs": self._needs_rows(rows, places),
        }

    def _attempt(self, number: int) -> int | None:
        """The number of the last attempt, which may be one that could not start."""
        attempt = self._report.outcome(number).attempt
        span = self._timeline.spans.get(number)
        return span.start.attempt if span is not None and not attempt else attempt or None

    def _earlier_attempts(self, places: Mapping[int, int]) -> list[list[int | str]]:
        """Attempts that were followed by others: row, slot, when they were ready, began and ended, and the worker."""
        found: list[list[int | str]] = []
        for span in self._earlier:
            row = places.get(span.number)
            if row is not None:
                times = map(_micro, (span.ready, span.began, self._ended(span)))
                found.append([row, span.slot, *times, _worker(span)])
        return found

    def _ended(self, span: Span) -> float:
        return self._timeline.seconds if span.ended is None else span.ended

    def _commands(self, rows: Sequence[int]) -> list[str] | None:
        """What tasks do; None where that is too much for a page."""
        commands = [self._tasks[number].arguments[: _COMMAND + 1] for number in rows]
        if sum(map(len, commands)) > _COMMANDS:
            self._notes.append("Commands are shown only for tasks that failed.")
            return None
        return [_text(command, _COMMAND) for command in commands]

    def _needs_rows(self, rows: Sequence[int], places: Mapping[int, int]) -> list[list[int]] | None:
        """The rows of what each task depends on; None where that is too much for a page."""
        if sum(len(self._needs[number]) for number in rows) > _NEEDS:
            self._notes.append("There are too many dependencies to tell those of each task.")
            return None
        return [[places[other] for other in self._needs[number] if other in places] for number in rows]

    def _failures(self, places: Mapping[int, int]) -> list[dict[str, Any]]:
        """Those that failed, and then those that were interrupted, each with what a person needs to see first."""
        skips = {outcome.root: count for outcome, count in self._skipped.items()}
        found = [
            (number, result, skips.get(number, 0))
            for number, result in enumerate(self._results)
            if result.status is Status.FAILED
            or (result.status is Status.INTERRUPTED and number in self._timeline.spans)
        ]
        # Where several failed, the one that held up most is the one to look at. What may fail comes last.
        found.sort(key=lambda failure: (self._tasks[failure[0]].allow_failure, failure[1].status, -failure[2]))
        if len(found) > FAILURES:
            self._notes.append(f"{FAILURES} of {len(found):,} failures are shown with their command and output.")
        return [
            self._failure(places[number], number, skips) for number, _, skips in found[:FAILURES] if number in places
        ]

    def _failure(self, row: int, number: int, skips: int) -> dict[str, Any]:
        task = self._tasks[number]
        output, cut = self._tails.get(number, Tail(b"", cut=False)).text()
        return {
            "row": row,
            "skips": skips,
            "allowed": task.allow_failure,
            "command": _text(task.arguments, _COMMAND_FAILED),
            "cwd": printable(task.cwd) if task.cwd else "",
            "output": output,
            "cut": cut,
        }

    def _skips(self, places: Mapping[int, int]) -> list[dict[str, Any]]:
        """Why tasks were skipped, most of them first: ``37 skipped: compile:x failed``."""
        return [
            {
                "reason": shown(outcome.reason),
                "count": count,
                "row": None if outcome.root is None else places.get(outcome.root),
            }
            for outcome, count in self._skipped.most_common(_SKIPS)
        ]

    def _critical_path(self, path: Sequence[int], places: Mapping[int, int]) -> dict[str, Any]:
        """The chain of tasks that determined how long the run took, in their order."""
        on_path = {span.number for span in self._path}
        earlier = [span for span in self._earlier if span.number in on_path]
        return {
            "tasks": len(path),
            "seconds": sum(span.all_seconds for span in self._path),
            "retried": sum(span.seconds for span in earlier),
            "waited": sum(span.began - span.ready for span in [*self._path, *earlier] if span.start.attempt == 1),
            "rows": [places[number] for number in path if number in places],
        }

    def _running(self) -> dict[str, list[int]]:
        """How many tasks ran at once, at the most, in each of the equal parts of the run: ``all``, and of each type."""
        types = sorted(self._timeline.most)[::-1]
        changes: dict[str, list[tuple[float, int]]] = {type_: [] for type_ in types}
        for span in self._spans:
            changes[span.task.type] += [(span.began, 1), (self._ended(span), -1)]
        scale = _PARTS / max(self._timeline.seconds, 1e-9)
        found = {type_: _most_in_parts(moments, scale) for type_, moments in changes.items()}
        return {"all": found[types[0]] if len(types) == 1 else _most_in_parts(chain(*changes.values()), scale), **found}

    def _graph(self, drawn: Sketch, path: Sequence[int]) -> dict[str, Any]:
        """The drawing of the dependencies: per group how its tasks ended, and what is on the critical path."""
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
    """The highest of a count in each part of the time. ``moments``: when it changes and by how much."""
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
    """The worker of a cluster on which an attempt ran, empty for this machine."""
    return "" if span is None else printable(span.start.worker or "")


def _coded(values: Iterable[str]) -> dict[str, list[Any]]:
    """A column of few different texts: each of them once, and per value its place."""
    places: dict[str, int] = {}
    codes = []
    for value in values:
        code = places.get(value)
        if code is None:
            code = places[value] = len(places)
        codes.append(code)
    return {"values": list(places), "codes": codes}


def _shortened(column: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Reasons: one may be long, and where very many differ they are shorter."""
    limit = min(_REASON, max(_REASONS // len(column["values"] or [""]), 20))
    column["values"] = [value if len(value) <= limit else f"{value[:limit]}…" for value in column["values"]]
    return column


def _text(text: str, limit: int) -> str:
    """A text of several lines as one may show it."""
    if text.isprintable() and len(text) <= limit:
        return text
    return "\n".join(map(shown, text[:limit].split("\n"))) + (" …" if len(text) > limit else "")

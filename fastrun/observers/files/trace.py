"""The trace of a run for Perfetto or chrome://tracing, with one track for each slot.

Commands are one process of the trace, snippets another, and so is each worker of a cluster. Slots are threads.

Knows the timeline and the Trace Event Format. Does not know which program shows the trace.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from fastrun import __version__
from fastrun.observers.files.details import Details
from fastrun.observers.files.output import FileObserver, OutputFile
from fastrun.observers.timeline import Moment, Site, Span, Timeline, Together, quoted
from fastrun.outcome import OK, Outcome, Report

_NANOS = [f"{nano:03d}" for nano in range(1000)]
_LAST = 999

# Events that are joined for one write.
_EVENTS_AT_ONCE = 100


class Trace(FileObserver):
    """Keeps all attempts, and writes them when it is closed."""

    def __init__(self, file: OutputFile, timeline: Timeline, run_id: str) -> None:
        """``run_id``: the id that the commands see."""
        super().__init__(file)
        self.complete = False
        self._timeline = timeline
        self._run_id = run_id
        self._spans: list[Span | Together] = []
        timeline.follow(self._keep_attempts)

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Note that all events of the run have come."""
        self.complete = True

    def close(self) -> str:
        """Write all events and close. Return a line about what could not be written, empty if all is written."""
        about = {"fastrun": __version__, "run_id": self._run_id, "started": self._timeline.started_at}
        self.file.write(b'{"displayTimeUnit":"ms","otherData":%b,"traceEvents":[\n' % json.dumps(about).encode())
        tracks = _tracks(self._timeline.slots)
        self.file.write(",\n".join(_names(tracks, self._timeline.slots)).encode())
        events = _events(self._spans, tracks)
        while batch := ",\n".join(islice(events, _EVENTS_AT_ONCE)):
            self.file.write(f",\n{batch}".encode())
        self.file.write(b"\n]}\n")
        return super().close()

    def _keep_attempts(self, moments: Sequence[Moment | Together]) -> None:
        for moment in moments:
            if isinstance(moment, Together):
                self._spans.append(moment)
                continue
            _, _, outcome, span = moment
            if outcome is not None and span is not None:
                self._spans.append(span)


def _tracks(slots: Mapping[Site, int]) -> dict[Site, tuple[int, int]]:
    """Return, for each site, its process in the trace and the number of threads before its first.

    On this machine each type is a process; on a worker both types are one process. ``slots``: by site, its slots.
    """
    tracks: dict[Site, tuple[int, int]] = {("exec", None): (1, 0), ("eval", None): (2, 0)}
    workers: dict[str, tuple[int, int]] = {}
    for site, count in sorted(slots.items(), key=lambda item: (item[0][1] or "", item[0][0] != "exec")):
        worker = site[1]
        if worker is not None:
            process, threads = workers.get(worker, (len(workers) + 3, 0))
            tracks[site] = process, threads
            workers[worker] = process, threads + count
    return tracks


def _names(tracks: Mapping[Site, tuple[int, int]], slots: Mapping[Site, int]) -> Iterator[str]:
    """Yield the names of processes and threads. ``slots``: by site, its slots."""
    for (type_, worker), (process, before) in tracks.items():
        if not before:
            yield _metadata("process_name", process, 0, "name", type_ if worker is None else f"worker {worker}")
            yield _metadata("process_sort_index", process, 0, "sort_index", process)
        for thread in range(before + 1, before + 1 + slots.get((type_, worker), 0)):
            yield _metadata("thread_name", process, thread, "name", f"slot {thread}")
            yield _metadata("thread_sort_index", process, thread, "sort_index", thread)


def _metadata(name: str, process: int, thread: int, key: str, value: str | int) -> str:
    return json.dumps({"ph": "M", "pid": process, "tid": thread, "name": name, "args": {key: value}})


def _events(spans: Sequence[Span | Together], tracks: Mapping[Site, tuple[int, int]]) -> Iterator[str]:
    """Yield an event for each attempt; those of a ``Together`` may be one text. ``tracks``: see ``_tracks``."""
    members = Details().of
    used: defaultdict[tuple[int, int], _Track] = defaultdict(_Track)
    for one in spans:
        span = one.span(0) if isinstance(one, Together) else one
        process, before = tracks[span.site]
        thread = before + span.slot + 1
        track = used[process, thread]
        began, duration = track.times_of(span)
        middle = f',"dur":{duration},"pid":{process},"tid":{thread},"cat":"{span.task.type}","name":'
        tail = f',"args":{{{members(span.outcome or OK, span)}}}}}'
        yield f'{{"ph":"X","ts":{began}{middle}{quoted(span.task.name)}{tail}'
        if isinstance(one, Together):
            yield ",\n".join(_others(one, track, middle, tail, members))


def _others(
    together: Together, track: "_Track", middle: str, tail: str, members: Callable[[Outcome, Span], str]
) -> list[str]:
    """Return the events of all snippets but the first. ``middle``, ``tail``: texts of the first snippet's event."""
    names = together.names[1:]
    micros, nanos = track.more(len(names))
    head = f'{{"ph":"X","ts":{micros}.'
    if together.ready.count(together.ready[0]) == len(together.ready):
        return [f"{head}{nano}{middle}{name}{tail}" for nano, name in zip(nanos, names, strict=True)]
    tails = [f',"args":{{{members(OK, together.span(index + 1))}}}}}' for index in range(len(names))]
    return [f"{head}{nano}{middle}{name}{tail}" for nano, name, tail in zip(nanos, names, tails, strict=True)]


class _Track:
    """A track of the trace, on which no two attempts begin at the same time.

    Viewers stack attempts that begin at the same time, as snippets within one turn of the loop do. Such attempts are
    put a nanosecond apart. All other times are whole microseconds.
    """

    def __init__(self) -> None:
        # When the last attempt began, and how many earlier attempts began at the same time.
        self._micros = -1
        self._earlier = 0

    def times_of(self, span: Span) -> tuple[str, str]:
        """Return when the next attempt begins and how long it takes, in microseconds."""
        began = round(span.began * 1e6)
        ended = began if span.ended is None else round(span.ended * 1e6)
        self._earlier = self._earlier + 1 if began == self._micros else 0
        self._micros = began
        nanos = max((ended - began) * 1000 - self._earlier, 1)
        return f"{began}.{_NANOS[min(self._earlier, _LAST)]}", f"{nanos // 1000}.{nanos % 1000:03d}"

    def more(self, count: int) -> tuple[int, list[str]]:
        """Return when ``count`` more attempts with the times of the last one begin: microseconds, and their parts."""
        nanos = _NANOS[self._earlier + 1 : self._earlier + 1 + count]
        self._earlier += count
        return self._micros, nanos + _NANOS[-1:] * (count - len(nanos))

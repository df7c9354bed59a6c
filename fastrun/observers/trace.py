"""A picture of the run for trace viewers, Perfetto or chrome://tracing: one track for each slot.

Knows the timeline and the Trace Event Format. Does not know who looks at it.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice

from fastrun import __version__
from fastrun.observers.details import Details, quoted
from fastrun.observers.output import FileObserver, OutputFile
from fastrun.observers.timeline import Moment, Span, Timeline
from fastrun.protocols import OK, Report

# Each type of task is a process of the trace, and its slots are that one's threads.
_PROCESSES = {"exec": 1, "eval": 2}

_NANOS = [f"{nano:03d}" for nano in range(1000)]

# What is written at once.
_EVENTS_AT_ONCE = 400


class Trace(FileObserver):
    """Keeps all attempts, and writes them when it is closed."""

    def __init__(self, file: OutputFile, timeline: Timeline, run_id: str) -> None:
        """``run_id``: as the commands see it."""
        super().__init__(file)
        self.complete = False
        self._timeline = timeline
        self._run_id = run_id
        self._spans: list[Span] = []
        timeline.follow(self._take)

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Nothing: whatever there is to be told has been."""
        self.complete = True

    def close(self) -> str:
        """Write it all. Returns a line about what could not be written."""
        about = {"fastrun": __version__, "run_id": self._run_id, "started": self._timeline.started_at}
        self.file.write(b'{"displayTimeUnit":"ms","otherData":%b,"traceEvents":[\n' % json.dumps(about).encode())
        self.file.write(",\n".join(_tracks(self._timeline.most)).encode())
        events = _events(self._spans)
        while batch := ",\n".join(islice(events, _EVENTS_AT_ONCE)):
            self.file.write(b",\n%b" % batch.encode())
        self.file.write(b"\n]}\n")
        return super().close()

    def _take(self, moments: Sequence[Moment]) -> None:
        self._spans += [span for _, _, outcome, span in moments if outcome is not None and span is not None]


def _tracks(slots: dict[str, int]) -> Iterator[str]:
    """The names of processes and threads. ``slots``: how many, by type."""
    for type_, process in _PROCESSES.items():
        yield _metadata("process_name", process, 0, "name", type_)
        yield _metadata("process_sort_index", process, 0, "sort_index", process)
        for slot in range(slots.get(type_, 0)):
            yield _metadata("thread_name", process, slot + 1, "name", f"slot {slot + 1}")
            yield _metadata("thread_sort_index", process, slot + 1, "sort_index", slot + 1)


def _metadata(name: str, process: int, thread: int, key: str, value: str | int) -> str:
    return json.dumps({"ph": "M", "pid": process, "tid": thread, "name": name, "args": {key: value}})


def _events(spans: Sequence[Span]) -> Iterator[str]:
    """A complete event for each attempt."""
    members = Details().of
    tracks: dict[tuple[int, int], _Track] = {}
    track = _Track()
    last = middle = tail = ""
    slot = -1
    for span in spans:
        text = members(OK if span.outcome is None else span.outcome, span)
        if text is last and span.slot == slot:
            began = track.again()
        else:
            last, slot, type_ = text, span.slot, span.task.type
            process = _PROCESSES[type_]
            track = tracks.setdefault((process, slot), _Track())
            began, duration = track.place(span)
            middle = f',"dur":{duration},"pid":{process},"tid":{slot + 1},"cat":"{type_}","name":'
            tail = f',"args":{{{text}}}}}'
        yield f'{{"ph":"X","ts":{began}{middle}{quoted(span.task.name)}{tail}'


class _Track:
    """A track, on which viewers would stack what begins at the same time, as snippets within a turn of the loop do.

    Such attempts are put a nanosecond apart. All other times are whole microseconds.
    """

    def __init__(self) -> None:
        # When the last attempt began, and the how manieth it is that began then.
        self._micros = -1
        self._place = 0

    def place(self, span: Span) -> tuple[str, str]:
        """When the next attempt begins and how long it takes, in microseconds."""
        began = round(span.began * 1e6)
        ended = began if span.ended is None else round(span.ended * 1e6)
        self._place = self._place + 1 if began == self._micros else 0
        self._micros = began
        start = self.again(0)
        nanos = max((ended - began) * 1000 - self._place, 1)
        return start, f"{nanos // 1000}.{nanos % 1000:03d}"

    def again(self, step: int = 1) -> str:
        """When the next attempt begins that is no other than the last in its times."""
        self._place = min(self._place + step, len(_NANOS) - 1)
        return f"{self._micros}.{_NANOS[self._place]}"

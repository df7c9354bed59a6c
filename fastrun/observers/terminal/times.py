"""The times that precede the report: how long the run took, its critical path, and its slowest tasks.

Knows the timeline. Imported only if the user asks for times.
"""

from collections.abc import Iterable, Iterator
from heapq import nlargest
from operator import itemgetter

from fastrun.observers.timeline import Span, Timeline
from fastrun.text import printable

_SLOWEST = 10

# Names that are shown of each end of a long critical path.
_ENDS = 4

# What every run may wait for, by its name in ``Span.held_by``.
_USUAL = ("slot", "retry")

_KINDS = {"exec": "command", "eval": "snippet"}


def _waits(spans: Iterable[Span]) -> Iterator[str]:
    """Yield a line for each thing but slots that tasks waited for: how many did, and how long."""
    waits: dict[str, list[tuple[float, Span]]] = {}
    for span in spans:
        if span.held_by not in _USUAL and span.began > span.ready:
            waits.setdefault(span.held_by, []).append((span.began - span.ready, span))
    for held_by, found in sorted(waits.items()):
        longest, span = max(found, key=itemgetter(0))
        total = sum(seconds for seconds, _ in found)
        tasks = f"{len(found):,} task{'s' * (len(found) != 1)}"
        yield f"  waited for {held_by}: {tasks}, {total:.2f} s together, at most {longest:.2f} s: {span.task.label}"


def time_lines(timeline: Timeline) -> Iterator[str]:
    """Yield the lines that precede the report."""
    total = timeline.seconds
    spans = list(timeline.spans.values())
    yield "Times:"
    together = f"  {total:.2f} s in all"
    if spans and total > 0:
        most = " and ".join(f"{n:,} {_KINDS.get(kind, kind)}{'s' * (n != 1)}" for kind, n in timeline.most.items())
        average = timeline.busy / total
        together += f"; {average:.1f} tasks at a time on average, at most {most}"
    yield together
    path = timeline.critical_path()
    if path and total > 0:
        seconds = sum(span.all_seconds for span in path)
        labels = [span.task.label for span in path]
        if len(labels) > 2 * _ENDS + 1:
            labels[_ENDS:-_ENDS] = [f"... {len(labels) - 2 * _ENDS:,} more ..."]
        tasks = f"{len(path):,} task{'s' * (len(path) != 1)}"
        yield f"  critical path {seconds:.2f} s ({seconds / total:.0%}), {tasks}: {printable(' -> '.join(labels))}"
    yield from _waits(spans)
    slowest = nlargest(_SLOWEST, spans, key=lambda span: span.all_seconds)
    if slowest:
        yield "  slowest:"
    for span in slowest:
        attempts = f"  ({span.start.attempt} attempts)" if span.start.attempt > 1 else ""
        yield f"    {span.all_seconds:8.2f} s  {span.task.label}{attempts}"

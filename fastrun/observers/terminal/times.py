"""The times that precede the report: how long the run took, its critical path, and its slowest tasks.

Knows the timeline. Imported only if the user asks for times.
"""

from collections.abc import Iterator
from heapq import nlargest

from fastrun.observers.timeline import Timeline
from fastrun.text import printable

_SLOWEST = 10

# Names that are shown of each end of a long critical path.
_ENDS = 4

_KINDS = {"exec": "command", "eval": "snippet"}


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
    slowest = nlargest(_SLOWEST, spans, key=lambda span: span.all_seconds)
    if slowest:
        yield "  slowest:"
    for span in slowest:
        attempts = f"  ({span.start.attempt} attempts)" if span.start.attempt > 1 else ""
        yield f"    {span.all_seconds:8.2f} s  {span.task.label}{attempts}"

"""The name of a task before each line that it prints: ``[compile] cc -c a.c``.

Knows names and lines. Does not know when they are printed.
"""

from collections.abc import Sequence

from fastrun.document.task import Task
from fastrun.text import columns

# Most columns of a name to which the lines of tasks with shorter names are aligned.
_ALIGNED = 24


def prefix_columns(tasks: Sequence[Task]) -> int:
    """Return the columns of the longest name, or fewer if it is very long."""
    widest = 0
    for task in tasks:
        widest = max(widest, columns(task.label))
        if widest >= _ALIGNED:
            return _ALIGNED
    return widest


def prefix_of(task: Task, width: int) -> bytes:
    """Return what stands before the lines of a task. ``width``: columns of a name to which lines are aligned."""
    label = task.label
    return f"[{label}] {' ' * (width - columns(label))}".encode()


def prefixed(data: bytes, prefix: bytes, *, within_a_line: bool) -> bytes:
    """Return output with the prefix before each line that begins in it. ``within_a_line``: it begins in a line."""
    size = len(data)
    ends = data.count(b"\n", 0, size - 1)
    if ends:
        data = data.replace(b"\n", b"\n" + prefix, ends)
    return data if within_a_line else prefix + data

"""Names of many tasks on one line."""

from collections.abc import Sequence

from fastrun.plan.graph import Graph

# Most names that are shown of many tasks, and of each end of a path.
_NAMES_SHOWN = 10


def names_of(graph: Graph, numbers: Sequence[int]) -> str:
    """Return the first names of these tasks, and how many more there are."""
    if not numbers:
        return "nothing"
    shown = ", ".join(graph.tasks[number].label for number in numbers[:_NAMES_SHOWN])
    return shown + (f" and {len(numbers) - _NAMES_SHOWN} more" if len(numbers) > _NAMES_SHOWN else "")


def path_of(graph: Graph, numbers: Sequence[int]) -> str:
    """Return the names on a path, the first and the last ones of a long path."""
    labels = [graph.tasks[number].label for number in numbers]
    if len(labels) > 2 * _NAMES_SHOWN:
        labels[_NAMES_SHOWN:-_NAMES_SHOWN] = ["..."]
    return " -> ".join(labels)

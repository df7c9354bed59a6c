"""Who watches a run beside the console: what its options ask for.

Names the concrete observers, and knows nothing of how they do it. Imported only where one of the options is given: a
plain run pays for none of this.
"""

import argparse
from collections.abc import Iterator, Sequence

from fastrun.observers.output import FileObserver
from fastrun.observers.timeline import Timeline
from fastrun.protocols import Observer


def observers(options: argparse.Namespace) -> list[Observer]:  # noqa: ARG001  # the options come next
    """Those that the options ask for, each behind what it asks.

    The timeline is one for all. Raises OSError, with the path, for a file that cannot be made.
    """
    timeline = Timeline()
    found: list[Observer] = [timeline]
    return found


def close(watching: Sequence[Observer]) -> Iterator[str]:
    """Have them write what is left, once the run is over. Yields a line for each file that is not whole."""
    for observer in watching:
        if isinstance(observer, FileObserver) and (failure := observer.close()):
            yield failure

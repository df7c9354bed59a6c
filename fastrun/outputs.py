"""Who watches a run beside the console: what its options ask for.

Names the concrete observers, and knows nothing of how they do it. Imported only where one of the options is given: a
plain run pays for none of this.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from fastrun.observers.output import FileObserver, OutputFile
from fastrun.observers.timeline import Timeline
from fastrun.protocols import Observer


def observers(options: argparse.Namespace) -> list[Observer]:
    """Those that the options ask for, each behind what it asks.

    The timeline is one for all. Raises OSError, with the path, for a file that cannot be made.
    """
    timeline = Timeline()
    found: list[Observer] = [timeline]
    if options.html is not None:
        from fastrun.observers.html import HtmlReport

        found.append(HtmlReport(OutputFile(options.html), timeline, _title(options.file)))
    return found


def _title(path: str) -> str:
    return "<stdin>" if path == "-" else os.path.basename(path)


def times_of(watching: Sequence[Observer]) -> Callable[[], Iterator[str]]:
    """What gives the lines about times, once the run is over."""
    from fastrun.observers.times import time_lines

    (timeline,) = (observer for observer in watching if isinstance(observer, Timeline))
    return partial(time_lines, timeline)


def close(watching: Sequence[Observer]) -> Iterator[str]:
    """Have them write what is left, once the run is over. Yields a line for each file that is not whole."""
    for observer in watching:
        if isinstance(observer, FileObserver) and (failure := observer.close()):
            yield failure

"""Makes the observers of a run beside the console, as its options ask for.

Names the concrete observers. Does not know how they watch. Imported only where an option asks for an observer.
"""

import argparse
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from fastrun.cli.options import WRITING, on_github, shows_times
from fastrun.observers.files.output import Beginning, FileObserver, OutputFile, OutputStream, open_followed
from fastrun.observers.timeline import Timeline
from fastrun.protocols import Observer

if TYPE_CHECKING:
    from fastrun.observers.files.logs import Logs
    from fastrun.observers.terminal.console import Console

# Returns the location of a task by its number, None where that is not known.
Position = Callable[[int], tuple[int, int] | None]


def observers(
    options: argparse.Namespace,
    run_id: str,
    console: "Console",
    stdout: int,
    position: Position,
    timeline: Timeline,
    logs: "Logs | None",
) -> list[Observer]:
    """Return the observers that the options ask for, each behind the observers that it needs.

    ``stdout``: a descriptor for them alone. ``position``: line and column of a task in the document, by its number.
    ``timeline``, ``logs``: shared by all of them. Raises OSError, with the path, for a file that cannot be made.
    """
    written: list[FileObserver] = [] if logs is None else [logs]
    found: list[Observer] = []
    try:
        written.extend(_files(options, run_id, stdout, timeline, logs))
    except OSError:
        discard(written)
        raise
    if shows_times(options) or any(getattr(options, name) is not None for name in WRITING):
        # Logs alone need no times, which cost each task some microseconds.
        found.append(timeline)
    if written:
        found += [Beginning([observer.file for observer in written]), *written]
    if on_github(os.environ):
        from fastrun.observers.files.github import GitHub

        summary = os.environ.get("GITHUB_STEP_SUMMARY") or None
        document = _in_repository(options.file)
        log = None if logs is None else logs.shown_path
        say, warn, tail = console.print_line, console.warn, console.tail
        found.append(GitHub(say, warn, f"fastrun {_name(options.file)}", summary, document, position, tail, log))
    return found


def make_logs(options: argparse.Namespace) -> "Logs | None":
    """Return what writes the output of tasks to files, None if that is not asked for. Raises OSError."""
    if options.logs is None:
        return None
    from fastrun.observers.files.logs import Logs

    return Logs(options.logs)


def _files(
    options: argparse.Namespace, run_id: str, stdout: int, timeline: Timeline, logs: "Logs | None"
) -> Iterator[FileObserver]:
    """Yield the observers that write a file. Raises OSError."""
    if options.json is not None:
        from fastrun.observers.files.events import EventLog

        file = OutputStream(stdout, "standard output") if options.json == "-" else open_followed(options.json)
        yield EventLog(file, timeline, run_id, logs)
    if options.trace is not None:
        from fastrun.observers.files.trace import Trace

        compressed = options.trace.endswith(".gz")
        yield Trace(OutputFile(options.trace, compressed=compressed), timeline, run_id)
    if options.junit is not None:
        from fastrun.observers.files.junit import JUnit

        yield JUnit(OutputFile(options.junit), timeline, _name(options.file), run_id, logs)
    if options.html is not None:
        from fastrun.observers.files.html.report import HtmlReport

        links = None if logs is None else functools.partial(logs.links, options.html)
        yield HtmlReport(OutputFile(options.html), timeline, _title(options.file), links)


def _name(path: str) -> str:
    """Return the name of a document."""
    return "stdin" if path == "-" else os.path.splitext(os.path.basename(path))[0]


def _in_repository(path: str) -> str | None:
    """Return a file's path in the repository of the workflow; None for a file outside it, and for standard input."""
    if path == "-":
        return None
    try:
        inside = os.path.relpath(path, os.environ.get("GITHUB_WORKSPACE") or ".")
    except FileNotFoundError:
        # The current directory was removed.
        return None
    return None if inside.split(os.sep, 1)[0] == os.pardir else inside


def _title(path: str) -> str:
    return "<stdin>" if path == "-" else os.path.basename(path)


def discard(watching: Sequence[Observer]) -> None:
    """Leave the files of observers as they were: there will be no run."""
    for observer in watching:
        if isinstance(observer, FileObserver):
            observer.discard()


def close(watching: Sequence[Observer], patience: float | None = None) -> Iterator[str]:
    """Have observers write what is left, once the run is over. Yields a line for each file that is not whole.

    ``patience``: seconds that each file waits for its reader, None for as long as it takes.
    """
    for observer in watching:
        if isinstance(observer, FileObserver):
            if isinstance(observer.file, OutputStream):
                observer.file.patience = patience
            try:
                failure = observer.close()
            except Exception as error:
                failure = f"{type(observer).__name__} failed: {error!r}"
            if failure:
                yield failure

"""Runs a document: loads it, wires the run with its observers, and makes sure that all is written.

Names the console. ``observers`` and ``terminal`` name the other observers, and are imported where something asks for
them.
"""

import argparse
import errno
import fcntl
import functools
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import uvloop

from fastrun.api import Prepared, Setup, new_run_id, set_up
from fastrun.cli.load import journal_error, load, make_journal_folder, say_plan, settings_of
from fastrun.cli.options import is_watched, on_github, shows_times
from fastrun.cli.say import EXIT_OUTPUT, EXIT_USAGE, leave, refusal_of, say, starting, usage_error
from fastrun.observers.terminal.console import Console
from fastrun.outcome import Report
from fastrun.protocols import Observer
from fastrun.runner.signals import LAST_WORDS, Signals
from fastrun.threads import Thread

if TYPE_CHECKING:
    from fastrun.cli.terminal import Watched
    from fastrun.cli.unchanged import Memory
    from fastrun.observers.terminal.status import Progress

_T = TypeVar("_T")

# Least descriptors that a run needs: ten for the loop and the executors, one for the guardian, five for a command.
_DESCRIPTORS = 16


def run(options: argparse.Namespace, memory: "Memory | None" = None) -> int:
    """Run the document. Returns the exit code. ``memory``: keeps what a later run may answer with."""
    with starting():
        prepared, console, watching = _elsewhere(functools.partial(_prepare, options, memory))
    # The graph stays: the collector need not look at a million tasks again and again.
    gc.freeze()
    gc.enable()
    return _execute(prepared, console, watching)


def _elsewhere(function: Callable[[], _T]) -> _T:
    """Call a function in a thread of its own, and sleep meanwhile.

    Linux deprioritises a thread that has just used much CPU, and where commands fill the processors it stays so for
    seconds: 5,000 of them took 14 % longer after a start of 60 ms in the thread that then starts them.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = Thread(work, "fastrun-load")
    try:
        thread.start()
    except RuntimeError:
        # The system grants no thread.
        return function()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _prepare(options: argparse.Namespace, memory: "Memory | None") -> tuple[Prepared, Console, list[Observer]]:
    """Load the document and whatever it takes to run it. Raises Exit."""
    graph = load(options)
    settings = settings_of(options, graph)
    out, err = _own_descriptors(options)
    # With the events on standard output, nothing else is.
    said = err if options.json == "-" else out
    terminal, timeline, times, logs = None, None, None, None
    if _may_be_watched(options):
        from fastrun.cli.terminal import Watched

        terminal = Watched(options, said, err, other=out if said != out else None)
    if is_watched(options):
        from fastrun.cli.observers import make_logs, observers
        from fastrun.observers.terminal.times import time_lines
        from fastrun.observers.timeline import Timeline

        timeline = Timeline()
        times = functools.partial(time_lines, timeline) if shows_times(options) else None
        with _writable():
            logs = make_logs(options)
    console = Console(
        options.output,
        verbose=options.verbose,
        report=options.report or "all",
        color=terminal is not None and terminal.color,
        error_color=terminal is not None and terminal.error_color,
        folds=on_github(os.environ),
        stdout=said,
        stderr=err,
        writer=None if terminal is None else terminal.writer,
        log=None if logs is None else logs.shown_path,
        times=times,
    )
    run_id = new_run_id()
    watching: list[Observer] = []
    if timeline is not None:
        with _writable():
            watching = observers(options, run_id, console, out, graph.line_and_column, timeline, logs)
    try:
        make_journal_folder(options)
        setup = set_up(graph, settings, console.warn, run_id)
        status = None if terminal is None else _status(terminal, console, setup, settings.jobs)
        # The report, which the console prints, is the last that is printed.
        keepers = [] if memory is None else [_Keeper(memory, setup, console)]
        prepared = setup.watched_by(
            [*watching, *([] if status is None else [status]), console, *keepers],
            before_stop=None if status is None else status.leave,
        )
    except BaseException as error:
        console.close()
        _discard(watching)
        if isinstance(error, (OSError, ValueError)):
            raise journal_error(options, error) from None
        raise
    if setup.plan is not None and options.resume:
        say_plan(graph, setup.plan, options)
    return prepared, console, watching


def _status(terminal: "Watched", console: Console, setup: Setup, jobs: int | None) -> "Progress | None":
    expected = None if setup.plan is None else setup.plan.seconds
    return terminal.status(console, jobs, expected, setup.held_by)


@contextmanager
def _writable() -> Iterator[None]:
    """Turn an error about a file that cannot be made into Exit."""
    try:
        yield
    except OSError as error:
        raise usage_error(f"{error.filename}: {error.strerror}") from None


class _Keeper(Observer):
    """Keeps the answer of a run that found nothing to do."""

    def __init__(self, memory: "Memory", setup: Setup, console: Console) -> None:
        self._keep = functools.partial(memory.keep, setup, console)

    def run_ended(self, report: Report) -> None:
        self._keep(report)


def _own_descriptors(options: argparse.Namespace) -> tuple[int, int]:
    """Return descriptors of standard output and standard error that are for this program alone."""
    try:
        # A snippet may close descriptor 1, and the next file that it opens would get the report.
        out, err = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in (1, 2))
        # A loop that is made half-way cannot be closed.
        for descriptor in [os.dup(0) for _ in range(_DESCRIPTORS)]:
            os.close(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # POSIX says so where the limit is lower than any such number.
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from None
    if options.json == "-":
        # What the children of snippets print belongs to no task, and must not stand among the events.
        os.dup2(2, 1)
    return out, err


def _discard(watching: Sequence[Observer]) -> None:
    if watching:
        from fastrun.cli.observers import discard

        discard(watching)


def _may_be_watched(options: argparse.Namespace) -> bool:
    if "always" in (options.status, options.color) or os.isatty(1) or os.isatty(2):
        return True
    return bool(os.environ.get("CI") or os.environ.get("FORCE_COLOR"))


def _execute(prepared: Prepared, console: Console, watching: Sequence[Observer]) -> int:
    # A parent that ignores it would have the kernel throw exit statuses away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signals = Signals(prepared.run)
    try:
        code = _run_and_write(prepared, signals, console, watching)
    finally:
        signals.restore()
    if threading.active_count() > 1:
        # A snippet has left a thread. The interpreter would wait for it, or crash while it prints.
        leave(code)
    return code


def _run_and_write(prepared: Prepared, signals: Signals, console: Console, watching: Sequence[Observer]) -> int:
    """Run it, and make sure that all is written. Returns the exit code."""
    try:
        report = uvloop.run(prepared.to_end(signals))
    except BaseException as error:
        # A traceback follows: on the screen, below what was printed.
        console.close(LAST_WORDS)
        if prepared.run.began:
            raise
        _discard(watching)
        if isinstance(error, OSError) and error.errno is None:
            # Of a cluster.
            raise usage_error(str(error)) from None
        refusal = refusal_of(error)
        if refusal is None:
            raise
        say(refusal.text)
        # A loop that was made half-way cannot be closed, and says so when it is collected.
        os._exit(EXIT_USAGE)
    patience = LAST_WORDS if report.timed_out is not None or signals.first is not None else None
    written = console.close(patience)
    if watching:
        from fastrun.cli.observers import close

        for failure in close(watching, patience):
            say(f"fastrun: {failure}")
            written = False
    report.signal = report.signal or signals.first
    return EXIT_OUTPUT if not written and not report.interrupted else report.exit_code

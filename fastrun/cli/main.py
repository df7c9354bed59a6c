"""The command line: what is done with its options, and who watches the run.

Imports nothing but argparse until it is known that there is something to run, so that ``--help`` and
``--version`` answer at once.
"""

import argparse
import errno
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO, TypeVar

from fastrun.cli.options import (
    EXIT_OUTPUT,
    EXIT_USAGE,
    LOOKING,
    OF_ONE_RUN,
    SCHEMAS,
    Parser,
    completion,
    is_watched,
    parser,
    shows_times,
)

if TYPE_CHECKING:
    from fastrun.api import Prepared
    from fastrun.journal.recovery import Journaling
    from fastrun.journal.resume import Plan
    from fastrun.observers.terminal.console import Console
    from fastrun.observers.terminal.status import Progress
    from fastrun.plan.graph import Graph
    from fastrun.protocols import Observer
    from fastrun.runner.signals import Signals

_T = TypeVar("_T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code; argparse leaves by itself after ``--help`` and errors."""
    _open_standard_descriptors()
    made = parser()
    options = made.parse(arguments)
    for line in made.misspelled():
        from fastrun.text import printable

        _say(f"fastrun: warning: {printable(line)}")
    for name in OF_ONE_RUN:
        os.environ.pop(name, None)
    if options.schema:
        if options.file is not None and not os.path.exists(options.file):
            made.error(f"there is a schema of {' and of '.join(SCHEMAS)}, none of {options.file!r}")
        return _print_schema(options.schema)
    if options.print_completion:
        return _print_completion(made, options.print_completion)
    _check(made, options)
    if options.directory is not None:
        try:
            os.chdir(options.directory)
        except OSError as error:
            return _usage_error(f"{options.directory}: {error.strerror}")
    _check_files(made, options)
    return _run(options)


def _check(made: Parser, options: argparse.Namespace) -> None:
    """Leave with an error if options do not go together."""
    if options.file is None:
        made.error("a FILE is needed ('-' for standard input)")
    for option in ("resume", "rerun", "durable"):
        if getattr(options, option) and options.journal is None:
            made.error(f"--{option} needs --journal FILE")
    if options.what_if is not None and options.journal is None:
        made.error("--what-if needs --journal FILE")
    if options.rerun and not options.resume:
        made.error("--rerun needs --resume")
    looks = [f"--{option.replace('_', '-')}" for option in LOOKING if _is_given(options, option)]
    if len(looks) > 1:
        made.error(f"{' and '.join(looks)}: one at a time")


def _is_given(options: argparse.Namespace, option: str) -> bool:
    return getattr(options, option) not in (None, False)


def _check_files(made: Parser, options: argparse.Namespace) -> None:
    """Leave with an error if a file that is to be written is the document, or another such file."""
    taken = {} if options.file == "-" else {_identity(options.file): "the document"}
    for option in ("journal", "json", "trace", "junit", "html"):
        file = getattr(options, option)
        if file == "-" and option != "json":
            made.error(f"--{option} needs a file: standard output is for what is printed, or for --json")
        # A device may be named as often as one likes.
        if file in (None, "-") or (os.path.exists(file) and not os.path.isfile(file)):
            continue
        place = _identity(file)
        # A journal is opened by who refuses what is none.
        if place in taken and option != "journal":
            made.error(f"--{option} would write over {taken[place]}: {file}")
        taken[place] = f"the file of --{option}"


def _identity(path: str) -> tuple[int, int] | str:
    """What two paths have in common that lead to the same file, by whatever names or links."""
    try:
        found = os.stat(path)
    except OSError:
        # Not there yet. Nor is, maybe, the folder that this works in.
        with suppress(OSError):
            return os.path.realpath(path)
        return path
    return found.st_dev, found.st_ino


def _run(options: argparse.Namespace) -> int:
    import gc

    # Until the graph is frozen: the first collection would look at all of it, half a second for a million tasks.
    gc.disable()
    looks = any(_is_given(options, option) for option in LOOKING)
    loaded = _elsewhere(functools.partial(_look if looks else _prepare, options))
    if isinstance(loaded, int):
        return loaded
    # The graph stays: the collector need not look at a million tasks again and again.
    gc.freeze()
    gc.enable()
    return _execute(*loaded)


def _elsewhere(function: Callable[[], _T]) -> _T:
    """Call a function in a thread of its own, and sleep meanwhile.

    Who has just computed for long is put behind others by Linux, and where commands fill the processors it stays so for
    seconds: 5,000 of them took 14 % longer after a start of 60 ms in the thread that then starts them.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="fastrun-load", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # No thread to be had.
        return function()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _load(options: argparse.Namespace) -> "Graph | int":
    """The graph of the document, or of the part that is to be run; the exit code when it is wrong."""
    from fastrun.api import load_graph
    from fastrun.document.problems import SpecError

    try:
        graph = load_graph(options.file, warn=_say)
    except SpecError as error:
        _say(str(error))
        return EXIT_USAGE
    except OSError as error:
        return _usage_error(f"{options.file}: {error.strerror}")
    if options.names or options.only or options.roots or options.tag or options.exclude:
        from fastrun.plan.selection import Selection, part_of, select

        chosen = Selection(options.names, options.only, options.roots, options.tag, options.exclude)
        try:
            graph = part_of(graph, select(graph, chosen))
        except ValueError as error:
            return _usage_error(str(error))
    if options.shuffle is not None:
        graph.shuffle(options.shuffle)
        _say(f"fastrun: --shuffle {options.shuffle} brings this order again")
    return graph


def _look(options: argparse.Namespace) -> int:
    """Print something about the document."""
    graph = _load(options)
    if isinstance(graph, int):
        return graph
    if options.dry_run:
        return _dry_run(graph, options)
    if options.what_if is not None:
        return _what_if(graph, options)
    from fastrun.cli.look.show import drawn, explain_lines, list_lines

    if options.list:
        return _print(f"{line}\n" for line in list_lines(graph))
    if options.graph:
        return _print(drawn(graph, options.graph))
    if options.explain not in {task.name for task in graph.tasks}:
        from fastrun.text import no_such

        return _usage_error(no_such("task", options.explain, [task.name for task in graph.tasks]))
    return _print(f"{line}\n" for line in explain_lines(graph, options.explain))


def _what_if(graph: "Graph", options: argparse.Namespace) -> int:
    from fastrun.cli.look.whatif import known_seconds, lines, parse_limits
    from fastrun.journal.recovery import read

    try:
        limits = parse_limits(options.what_if)
    except ValueError as error:
        return _usage_error(f"--what-if: {error}")
    if not os.path.exists(options.journal):
        return _usage_error(f"{options.journal}: {os.strerror(errno.ENOENT)}")
    try:
        seconds, unknown = known_seconds(graph, read(options.journal).seconds)
    except (OSError, ValueError) as error:
        return _journal_error(options, error)
    graph.rank_by(dict(zip((task.name for task in graph.tasks), seconds, strict=True)))
    if unknown:
        _say(f"fastrun: of {unknown} of {len(graph)} tasks no duration is recorded; the mean of the others is taken")
    return _print(f"{line}\n" for line in lines(graph, seconds, limits))


def _dry_run(graph: "Graph", options: argparse.Namespace) -> int:
    from fastrun.cli.look.names import names_of
    from fastrun.cli.look.show import order_lines
    from fastrun.plan.scheduler import order

    reused: Sequence[int] = ()
    wanted = _journaling(options)
    if wanted is not None:
        from fastrun.journal.recovery import foresee

        try:
            plan = foresee(graph, wanted)
        except (OSError, ValueError) as error:
            return _journal_error(options, error)
        _say_plan(graph, plan, options)
        reused = plan.reused
    starting = order(graph, reused)
    if len(starting) + len(reused) < len(graph):
        others = {*range(len(graph))}.difference(starting, reused)
        _say(f"fastrun: {len(others)} more if something fails: {names_of(graph, sorted(others))}")
    return _print(f"{line}\n" for line in order_lines(graph, starting, verbose=options.verbose))


def _journaling(options: argparse.Namespace) -> "Journaling | None":
    from fastrun.api import journaling

    return journaling(options.journal, resume=options.resume, rerun=options.rerun, durable=options.durable)


def _journal_error(options: argparse.Namespace, error: OSError | ValueError) -> int:
    # Those of a cluster have no number, and say all.
    if isinstance(error, OSError) and error.errno is not None:
        return _usage_error(f"{options.journal}: {error.strerror}")
    return _usage_error(str(error))


def _say_plan(graph: "Graph", plan: "Plan", options: argparse.Namespace) -> None:
    """Say what is not run again and, if asked for, why each task is or is not."""
    from fastrun.text import printable

    if not options.resume:
        return
    if options.verbose:
        for number in plan.reused:
            _say(f"fastrun: {graph.tasks[number].label}: ok in the journal")
        for number, why in plan.why.items():
            _say(f"fastrun: {graph.tasks[number].label}: runs: {why}")
    _say(f"fastrun: {printable(options.journal)}: {len(plan.reused)} of {len(graph)} tasks are ok, {len(plan.why)} run")


def _prepare(options: argparse.Namespace) -> "tuple[Prepared, Console, list[Observer]] | int":
    """Load the document and whatever it takes to run it."""
    graph = _load(options)
    if isinstance(graph, int):
        return graph
    import uvloop  # noqa: F401  # needed next

    from fastrun.api import new_run_id, prepare

    out, err = _own_descriptors(options)
    console, status = _console(options, graph, out, err)
    run_id = new_run_id()
    watching: list[Observer] = []
    if is_watched(options):
        from fastrun.cli.observers import observers, times_of

        try:
            watching = observers(options, run_id, console, out, graph.line_and_column)
        except OSError as error:
            return _usage_error(f"{error.filename}: {error.strerror}")
        if shows_times(options):
            console.times = times_of(watching)
    try:
        prepared = prepare(
            graph,
            jobs=options.jobs,
            eval_threads=options.eval_threads,
            keep_going=options.keep_going,
            grace=options.grace,
            timeout=options.timeout,
            load=options.load,
            min_memory=options.min_memory,
            jobserver=options.jobserver,
            guardian=options.guardian,
            # The report, which the console prints, comes last.
            observers=[*watching, *([status] if status is not None else []), console],
            journaling=_journaling(options),
            cluster=options.cluster,
            worker_retries=options.worker_retries,
            warn=console.warn,
            run_id=run_id,
        )
    except (OSError, ValueError) as error:
        console.close()
        _discard(watching)
        return _journal_error(options, error)
    if status is not None:
        prepared.run.before_stop = status.leave
        if prepared.gates is not None:
            status.held_by = prepared.gates.holds_up
    if prepared.plan is not None:
        _say_plan(graph, prepared.plan, options)
        if status is not None:
            status.expect(prepared.plan.seconds)
    return prepared, console, watching


def _own_descriptors(options: argparse.Namespace) -> tuple[int, int]:
    """Standard output and standard error, for this program alone."""
    import fcntl

    # A snippet may close descriptor 1, and the next file that it opens would get the report.
    out, err = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in (1, 2))
    if options.json == "-":
        # What the children of snippets print, and others who know no task, is not to stand among the events.
        os.dup2(2, 1)
    return out, err


def _discard(watching: "Sequence[Observer]") -> None:
    if watching:
        from fastrun.cli.observers import discard

        discard(watching)


def _console(options: argparse.Namespace, graph: "Graph", out: int, err: int) -> "tuple[Console, Progress | None]":
    """Who prints the run and, if somebody watches, who shows how it stands meanwhile."""
    from fastrun.observers.terminal.console import Console

    # With the events on standard output, nothing else is.
    said = err if options.json == "-" else out
    watched = None
    if _may_be_watched(options):
        from fastrun.cli.terminal import Watched

        watched = Watched(options, said, err, other=out if said != out else None)
    console = Console(
        options.output,
        verbose=options.verbose,
        report=options.report or "all",
        color=watched is not None and watched.color,
        stdout=said,
        stderr=err,
        writer=None if watched is None else watched.writer,
        place=graph.location,
    )
    return console, None if watched is None else watched.status(console)


def _may_be_watched(options: argparse.Namespace) -> bool:
    if "always" in (options.status, options.color) or os.isatty(1) or os.isatty(2):
        return True
    return bool(os.environ.get("CI") or os.environ.get("FORCE_COLOR"))


def _execute(run: "Prepared", console: "Console", watching: "Sequence[Observer]") -> int:
    from fastrun.runner.signals import Signals

    # A parent that ignores it would have the kernel throw exit statuses away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signals = Signals(run.run)
    try:
        code = _run_and_write(run, signals, console, watching)
    finally:
        signals.restore()
    if threading.active_count() > 1:
        # Left running by a snippet. The interpreter would wait for it, or crash while it prints.
        os._exit(code)
    return code


def _run_and_write(run: "Prepared", signals: "Signals", console: "Console", watching: "Sequence[Observer]") -> int:
    """Run it, and see to it that all is written. Returns the exit code."""
    import uvloop

    from fastrun.runner.signals import LAST_WORDS

    stdout, stderr = sys.stdout, sys.stderr
    try:
        report = uvloop.run(run.to_end(signals))
    except BaseException as error:
        # The traceback follows: on the screen, below what was printed.
        console.close(LAST_WORDS)
        if run.cluster is not None and isinstance(error, OSError):
            from fastrun.cluster.address import ClusterError

            if isinstance(error, ClusterError):
                _discard(watching)
                return _usage_error(str(error))
        raise
    patience = None if signals.first is None else LAST_WORDS
    written = console.close(patience)
    for stream in (stdout, stderr):
        # What snippets wrote there past ours is in its buffer, which nobody else empties from here on.
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:
            _say(f"fastrun: cannot write what a snippet printed: {error.strerror}", stderr)
            written = False
    if watching:
        from fastrun.cli.observers import close

        for failure in close(watching, patience):
            _say(f"fastrun: {failure}", stderr)
            written = False
    report.signal = report.signal or signals.first
    return EXIT_OUTPUT if report.signal is None and not written else report.exit_code


def _open_standard_descriptors() -> None:
    """Open what is closed of 0, 1 and 2: a pipe to a task must not become one of them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _print_completion(made: Parser, shell: str) -> int:
    try:
        return _print([completion(made, shell), "\n"])
    except ImportError:
        return _usage_error(
            "--print-completion needs the package shtab: pip install '.[completion]' in fastrun's checkout"
        )


def _print_schema(what: str) -> int:
    from fastrun.document.task import SCHEMA_PATH
    from fastrun.observers.files.events import EVENTS_SCHEMA_PATH

    with open(EVENTS_SCHEMA_PATH if what == "events" else SCHEMA_PATH, encoding="utf-8") as file:
        return _print(file)


def _print(texts: Iterable[str]) -> int:
    """Write to standard output, unless there is none. Returns the exit code."""
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.buffer.writelines(text.encode() for text in texts)
        sys.stdout.flush()
    except OSError as error:
        # So that the interpreter does not try again at its end.
        with suppress(OSError):
            sys.stdout.close()
        if not isinstance(error, BrokenPipeError):
            _say(f"fastrun: cannot write to standard output: {error.strerror}")
        return EXIT_OUTPUT
    return 0


def _usage_error(text: str) -> int:
    _say(f"fastrun: {text}")
    return EXIT_USAGE


def _say(text: str, stderr: TextIO | None = None) -> None:
    """Print a line on standard error, unless there is none. ``stderr``: what that was before snippets ran."""
    stderr = stderr or getattr(sys, "stderr", None)
    if stderr is not None:
        with suppress(OSError):
            print(text, file=stderr, flush=True)

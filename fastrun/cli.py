"""The command line: arguments, and who watches the run.

Imports nothing but argparse until it is known that there is something to run, so that ``--help`` and
``--version`` answer at once.
"""

import argparse
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

from fastrun import __version__

if TYPE_CHECKING:
    from fastrun.api import Prepared
    from fastrun.graph import Graph
    from fastrun.journal.resume import Plan
    from fastrun.observers.console import Console
    from fastrun.recovery import Journaling

_T = TypeVar("_T")

EXIT_USAGE = 2
EXIT_OUTPUT = 3

# Seconds that the report of an interrupted run waits for a terminal that takes nothing.
_LAST_WORDS = 1.0

_DESCRIPTION = "Run a JSON document of shell commands and Python snippets as concurrently as their dependencies allow."

_EPILOG = """\
exit status:
  0  every task is ok          2  bad usage or input; nothing was started
  1  a task failed or was      3  output or journal could not be written in full
     skipped                   129, 130, 143  after SIGHUP, SIGINT, SIGTERM

examples:
  fastrun build.json           run every task in build.json
  generate | fastrun -j 8 -    run a document from a pipe, at most 8 commands at once
  fastrun --journal build.journal --resume build.json
                               run what is not done yet, and note what is
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code; argparse leaves by itself after ``--help`` and errors."""
    _open_standard_descriptors()
    options = _parser().parse_args(arguments)
    if options.schema:
        return _print_schema()
    if options.file is None:
        _parser().error("a FILE is needed ('-' for standard input)")
    for option in ("resume", "rerun", "durable"):
        if getattr(options, option) and options.journal is None:
            _parser().error(f"--{option} needs --journal FILE")
    if options.rerun and not options.resume:
        _parser().error("--rerun needs --resume")
    if options.directory is not None:
        try:
            os.chdir(options.directory)
        except OSError as error:
            return _usage_error(f"{options.directory}: {error.strerror}")
    return _run(options)


def console_script() -> NoReturn:
    """Exit with the code of ``main``."""
    try:
        code = main()
    except KeyboardInterrupt:
        # While loading, or while the last output is written: nothing runs.
        code = 128 + signal.SIGINT
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "fastrun",
        usage="%(prog)s [options] FILE",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="the document; '-' reads standard input")
    add(
        "-j",
        "--jobs",
        type=_positive,
        metavar="N",
        help="at most N commands at once (default: all that are ready, as far as the system grants it)",
    )
    add("--eval-threads", type=_positive, metavar="N", help="at most N snippets at once (default: 64)")
    add(
        "-k",
        "--keep-going",
        type=_count,
        default=0,
        metavar="N",
        help="start nothing more after N failures (default: 0, never stop)",
    )
    add("-C", "--directory", metavar="DIR", help="change to DIR before anything else")
    add("-n", "--dry-run", action="store_true", help="check the document and print the order, run nothing")
    add(
        "--output",
        choices=("stream", "group", "quiet"),
        default="stream",
        help="stream: lines as they come (default); group: each task's output as one block at its end; "
        "quiet: only the output of tasks that failed",
    )
    add(
        "--grace",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="time between asking tasks to end and killing them, after a signal or a timeout (default: 5)",
    )
    add(
        "--timeout",
        type=_timeout,
        metavar="SECONDS",
        help="end a task that takes longer; its own 'timeout' goes before (default: never)",
    )
    add(
        "--no-guardian",
        dest="guardian",
        action="store_false",
        help="start no process that ends the commands if fastrun is killed",
    )
    add("--journal", metavar="FILE", help="record the run in FILE, from which another run can go on")
    add("--resume", action="store_true", help="run only what the journal does not have as ok or has changed since")
    add(
        "--rerun",
        action="append",
        default=[],
        metavar="NAME",
        help="with --resume: run NAME and all that depends on it in any case (may be repeated)",
    )
    add("--durable", action="store_true", help="start nothing before what it depends on is recorded on the disk")
    add("-v", "--verbose", action="store_true", help="show each command as it starts, and why tasks run again")
    add("--schema", action="store_true", help="print the JSON schema of documents and exit")
    add("--version", action="version", version=f"fastrun {__version__}")
    return parser


def _positive(text: str) -> int:
    number = _count(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be 1 or more")
    return number


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    # Written so that "nan" is refused as well.
    if not 0 <= seconds <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _timeout(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0")
    return seconds


def _run(options: argparse.Namespace) -> int:
    import gc

    # Until the graph is frozen: the first collection would look at all of it, half a second for a million tasks.
    gc.disable()
    loaded = _elsewhere(functools.partial(_dry_run if options.dry_run else _prepare, options))
    if isinstance(loaded, int):
        return loaded
    run, console = loaded
    # The graph stays: the collector need not look at a million tasks again and again.
    gc.freeze()
    gc.enable()
    return _execute(run, console)


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
    """The graph of the document, or the exit code when it is wrong."""
    from fastrun.api import load_graph
    from fastrun.spec import SpecError

    try:
        return load_graph(options.file, warn=_say)
    except SpecError as error:
        _say(str(error))
    except OSError as error:
        _say(f"fastrun: {options.file}: {error.strerror}")
    return EXIT_USAGE


def _dry_run(options: argparse.Namespace) -> int:
    graph = _load(options)
    if isinstance(graph, int):
        return graph
    from fastrun.scheduler import order

    reused: Sequence[int] = ()
    wanted = _journaling(options)
    if wanted is not None:
        from fastrun.recovery import foresee

        try:
            plan = foresee(graph, wanted)
        except (OSError, ValueError) as error:
            return _journal_error(options, error)
        _say_plan(graph, plan, options)
        reused = plan.reused
    return _print(f"{graph.tasks[number].label}\n" for number in order(graph, reused))


def _journaling(options: argparse.Namespace) -> "Journaling | None":
    from fastrun.api import journaling

    return journaling(options.journal, resume=options.resume, rerun=options.rerun, durable=options.durable)


def _journal_error(options: argparse.Namespace, error: OSError | ValueError) -> int:
    return _usage_error(f"{options.journal}: {error.strerror}" if isinstance(error, OSError) else str(error))


def _say_plan(graph: "Graph", plan: "Plan", options: argparse.Namespace) -> None:
    """Say what is not run again and, if asked for, why each task is or is not."""
    from fastrun.spec import printable

    if not options.resume:
        return
    if options.verbose:
        for number in plan.reused:
            _say(f"fastrun: {graph.tasks[number].label}: ok in the journal")
        for number, why in plan.why.items():
            _say(f"fastrun: {graph.tasks[number].label}: runs: {why}")
    _say(f"fastrun: {printable(options.journal)}: {len(plan.reused)} of {len(graph)} tasks are ok, {len(plan.why)} run")


def _prepare(options: argparse.Namespace) -> "tuple[Prepared, Console] | int":
    """Load the document and whatever it takes to run it."""
    graph = _load(options)
    if isinstance(graph, int):
        return graph
    import fcntl

    import uvloop  # noqa: F401  # needed next

    from fastrun.api import prepare
    from fastrun.observers.console import Console

    # Of its own: a snippet may close descriptor 1, and the next file that it opens would get the report.
    out, err = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in (1, 2))
    console = Console(options.output, verbose=options.verbose, stdout=out, stderr=err)
    try:
        prepared = prepare(
            graph,
            jobs=options.jobs,
            eval_threads=options.eval_threads,
            keep_going=options.keep_going,
            grace=options.grace,
            timeout=options.timeout,
            guardian=options.guardian,
            observers=[console],
            journaling=_journaling(options),
            warn=console.warn,
        )
    except (OSError, ValueError) as error:
        console.close()
        return _journal_error(options, error)
    if prepared.plan is not None:
        _say_plan(graph, prepared.plan, options)
    return prepared, console


def _execute(run: "Prepared", console: "Console") -> int:
    import uvloop

    # A parent that ignores it would have the kernel throw exit statuses away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    report = uvloop.run(run.to_end(signals=True))
    written = console.close(None if report.signal is None else _LAST_WORDS)
    code = EXIT_OUTPUT if report.signal is None and not written else report.exit_code
    if threading.active_count() > 1:
        # Left running by a snippet. The interpreter would wait for it, or crash while it prints.
        os._exit(code)
    return code


def _open_standard_descriptors() -> None:
    """Open what is closed of 0, 1 and 2: a pipe to a task must not become one of them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _print_schema() -> int:
    from fastrun.spec import SCHEMA_PATH

    with open(SCHEMA_PATH, encoding="utf-8") as file:
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


def _say(text: str) -> None:
    """Print a line on standard error, unless there is none."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)

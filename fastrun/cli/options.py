"""What the command line takes: options, their types and defaults, from arguments and from the environment.

Knows argparse. Does not know what any of it does.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

from fastrun import __version__
from fastrun.text import nearest

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

EXIT_USAGE = 2
EXIT_OUTPUT = 3

# Those that completion is printed for.
SHELLS = ("bash", "zsh", "fish")

# Before an option's name, for its default.
VARIABLE = "FASTRUN_"

# The options for which somebody beside the console watches the run.
WATCHING = ("json", "trace", "junit", "html")

# The variables of options that are about one document or one run: a fastrun in a command has its own.
OF_ONE_RUN = (
    "FASTRUN_CLUSTER",
    "FASTRUN_DIRECTORY",
    "FASTRUN_DRY_RUN",
    "FASTRUN_DURABLE",
    "FASTRUN_EXCLUDE",
    "FASTRUN_EXPLAIN",
    "FASTRUN_FROM",
    "FASTRUN_GRAPH",
    "FASTRUN_HTML",
    "FASTRUN_JOURNAL",
    "FASTRUN_JSON",
    "FASTRUN_JUNIT",
    "FASTRUN_LIST",
    "FASTRUN_ONLY",
    "FASTRUN_PRINT_COMPLETION",
    "FASTRUN_RERUN",
    "FASTRUN_RESUME",
    "FASTRUN_SCHEMA",
    "FASTRUN_SHUFFLE",
    "FASTRUN_TAG",
    "FASTRUN_TRACE",
    "FASTRUN_WHAT_IF",
)

# The variables that commands get, which are those of no option.
OF_COMMANDS = ("FASTRUN_ATTEMPT", "FASTRUN_DETACH", "FASTRUN_PART", "FASTRUN_RUN_ID", "FASTRUN_TASK")

# The options that print something about the document, instead of running it.
LOOKING = ("dry_run", "list", "graph", "explain", "what_if")

# What there is a schema of.
SCHEMAS = ("document", "events")

_DESCRIPTION = "Run a JSON document of shell commands and Python snippets as concurrently as their dependencies allow."

_EPILOG = """\
every option can be set by a variable: FASTRUN_JOBS=8, FASTRUN_KEEP_GOING=1, FASTRUN_VERBOSE=1

exit status:
  0  every task is ok          2  bad usage or input; nothing was started
  1  a task failed or was      3  output or journal could not be written in full
     skipped                   129, 130, 143  after SIGHUP, SIGINT, SIGTERM

examples:
  fastrun build.json           run every task in build.json
  fastrun build.json test 'lint-*'
                               run these tasks and what they need
  generate | fastrun -j 8 -    run a document from a pipe, at most 8 commands at once
  fastrun --journal build.journal --resume build.json
                               run what is not done yet, and note what is
"""

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")
_JOBSERVERS = ("auto", "fifo", "pipe")


class Parser(argparse.ArgumentParser):
    """A parser whose options take their defaults from variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """``environ``: where they are looked for."""
        super().__init__(
            "fastrun",
            usage="%(prog)s [options] FILE [NAME ...]",
            description=_DESCRIPTION,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._environ = environ
        self._wrong: list[str] = []
        self._variables: list[str] = []
        self.options: list[argparse.Action] = []

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """The options. Leaves by itself, as argparse does, after ``--help`` and with an error."""
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        options, unknown = self.parse_known_intermixed_args(_with_values(arguments))
        if unknown:
            flags = [flag for action in self.options for flag in action.option_strings]
            near = nearest(unknown[0].partition("=")[0], flags)
            meant = f"; did you mean {near}?" if near is not None else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        if self._wrong:
            self.error(self._wrong[0])
        return options

    def misspelled(self) -> Iterator[str]:
        """A line for each variable that is no option's, but nearly so: as it is, it does nothing."""
        others = [name for name, text in self._environ.items() if text and name.startswith(VARIABLE)]
        for name in sorted(set(others).difference(self._variables, OF_COMMANDS)):
            near = nearest(name.removeprefix(VARIABLE), [one.removeprefix(VARIABLE) for one in self._variables])
            if near is not None:
                yield f"there is no variable {name}; did you mean {VARIABLE}{near}?"

    def section(self, title: str) -> "Section":
        """A heading of the help, to which options are added."""
        return Section(self, title)

    def variable(self, action: argparse.Action) -> None:
        """Take the default of an option from its variable, if that is set."""
        self.options.append(action)
        name = VARIABLE + action.option_strings[-1].lstrip("-").replace("-", "_").upper()
        self._variables.append(name)
        text = self._environ.get(name)
        if not text:
            # Empty is as good as unset: ``FASTRUN_JOBS= fastrun ...``.
            return
        try:
            value = _value(action, text)
            if value != action.default:
                # Of all options that set the same.
                self.set_defaults(**{action.dest: value})
        except (argparse.ArgumentTypeError, ValueError) as error:
            # Told only if the arguments are good: --help is to work with any environment.
            self._wrong.append(f"{name}: {error}")

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Write and flush; what argparse cannot write it leaves out. Leaves by itself where standard output is full."""
        to_stdout = file is sys.stdout
        stdout = sys.stdout
        if not to_stdout or stdout is None:
            super()._print_message(message, file)
            return
        try:
            stdout.write(message)
            stdout.flush()
        except OSError as error:
            # So that the interpreter does not try again at its end.
            with suppress(OSError):
                stdout.close()
            said = "" if isinstance(error, BrokenPipeError) else f"cannot write to standard output: {error.strerror}"
            self.exit(EXIT_OUTPUT, said and f"fastrun: {said}\n")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to look."""
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"fastrun: error: {message} (fastrun --help shows all options)\n")


class Section:
    """A heading of the help."""

    def __init__(self, parser: Parser, title: str) -> None:
        self._parser = parser
        self._group = parser.add_argument_group(title)

    def add(self, *names: str, **how: Any) -> None:
        """Add an option, as argparse's ``add_argument`` does."""
        self._parser.variable(self._group.add_argument(*names, **how))

    def add_last(self, *names: str, **how: Any) -> None:
        """Add an option that prints something and leaves, which no variable should do."""
        self._group.add_argument(*names, **how)


def _value(action: argparse.Action, text: str) -> Any:
    if action.nargs == 0:
        if text.lower() not in _TRUE + _FALSE:
            raise argparse.ArgumentTypeError(f"must be 1 or 0, not {text!r}")
        return action.const if text.lower() in _TRUE else action.default
    type_: Callable[[str], Any] = action.type if callable(action.type) else str
    value = type_(text)
    if action.choices is not None and value not in action.choices:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(action.choices)}, not {text!r}")
    # One that may be repeated; flags add to it.
    return [value] if isinstance(action.default, list) else value


def _with_values(arguments: list[str]) -> list[str]:
    """Tell ``--shuffle FILE`` from ``--shuffle SEED``, and so for others whose value may be missing."""
    given = []
    for argument, after in pairwise([*arguments, ""]):
        if argument == "--shuffle" and not after.isdecimal():
            given.append("--shuffle=")
        elif argument == "--jobserver" and after not in _JOBSERVERS:
            given.append("--jobserver=auto")
        elif argument == "--schema" and after not in SCHEMAS:
            given.append(f"--schema={SCHEMAS[0]}")
        else:
            given.append(argument)
    return given


def parser(environ: Mapping[str, str] = os.environ) -> Parser:
    """The parser of the command line."""
    made = Parser(environ)
    file = made.add_argument("file", nargs="?", metavar="FILE", help="the document; '-' reads standard input")
    made.options.append(file)
    made.add_argument(
        "names", nargs="*", metavar="NAME", help="run these tasks, and all that they need; may be patterns ('test-*')"
    )
    _add_running(made.section("running"))
    _add_cluster(made.section("running on a cluster"))
    _add_selecting(made.section("running a part"))
    _add_journal(made.section("going on from where a run ended"))
    _add_output(made.section("output"))
    _add_files(made.section("files for other tools"))
    _add_looking(made.section("looking, without running"))
    return made


def is_watched(options: argparse.Namespace) -> bool:
    """Whether somebody beside the console watches the run, or times are wanted."""
    given = any(getattr(options, name) is not None for name in WATCHING)
    return given or shows_times(options) or on_github(os.environ)


def shows_times(options: argparse.Namespace) -> bool:
    """Whether the report begins with times, which cost each task some microseconds: only where that is asked for."""
    return bool(options.report == "all" or (options.verbose and options.report != "none"))


def on_github(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of a GitHub Actions workflow."""
    return environ.get("GITHUB_ACTIONS") == "true"


def _add_running(section: Section) -> None:
    add = section.add
    add(
        "-j",
        "--jobs",
        type=positive,
        metavar="N",
        help="at most N commands at once (default: all that are ready, as far as the system grants it)",
    )
    add("--eval-threads", type=positive, metavar="N", help="at most N snippets at once (default: 64)")
    add(
        "-k",
        "--keep-going",
        type=count,
        default=0,
        metavar="N",
        help="start nothing more after N failures but what runs after a failure (default: 0, never stop)",
    )
    add(
        "-l",
        "--load",
        type=positive_number,
        metavar="LOAD",
        help="start no command while the machine's load is above LOAD and another one runs",
    )
    add(
        "--min-memory",
        type=size,
        metavar="SIZE",
        help="start no command while less memory is available (500M, 2G) and another one runs",
    )
    add(
        "--jobserver",
        choices=_JOBSERVERS,
        metavar="[STYLE]",
        help="share the limit of -j (or the number of processors) with make, ninja and cargo in commands; STYLE: fifo, "
        "pipe or, if it is left out, auto: what make reads. In a makefile, and without -j, make's slots are shared",
    )
    add("--fail-fast", dest="keep_going", action="store_const", const=1, default=0, help="the same as -k 1")
    add(
        "--timeout",
        type=more_seconds,
        metavar="SECONDS",
        help="end a task that takes longer; its own 'timeout' goes before (default: never)",
    )
    add(
        "--grace",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="time between asking tasks to end and killing them, after a signal or a timeout (default: 5)",
    )
    add(
        "--shuffle",
        type=seed,
        metavar="[SEED]",
        help="start tasks that are ready in a random order, to find dependencies that are missing; SEED, a number that "
        "is printed, brings the same order again",
    )
    add(
        "--no-guardian",
        dest="guardian",
        action="store_const",
        const=False,
        default=True,
        help="start no process that ends the commands if fastrun is killed",
    )
    add("-C", "--directory", metavar="DIR", help="change to DIR before anything else")


def _add_cluster(section: Section) -> None:
    add = section.add
    add(
        "--cluster",
        metavar="ADDRESS",
        help="run commands on a Dask cluster: its scheduler's address or file, or local:N for N processes on this "
        "machine; needs the extra 'cluster'",
    )
    add(
        "--worker-retries",
        type=count,
        default=2,
        metavar="N",
        help="run a task whose worker was lost again on another, N times at the most (default: 2)",
    )


def _add_selecting(section: Section) -> None:
    add = section.add
    more = {"action": "append", "default": [], "metavar": "NAME"}
    add("--only", **more, help="run NAME, a name or a pattern, without what it needs (all of these: may be repeated)")
    add("--from", dest="roots", **more, help="run NAME and all that depends on it")
    add("--tag", **{**more, "metavar": "TAG"}, help="run the tasks with this tag, and all that they need")
    add("--exclude", **more, help="leave NAME out; what depends on it runs as if it were done")


def _add_journal(section: Section) -> None:
    add = section.add
    add("--journal", metavar="FILE", help="record the run in FILE, from which another run can go on")
    add(
        "--resume",
        action="store_const",
        const=True,
        default=False,
        help="run only what the journal does not have as ok or has changed since",
    )
    add(
        "--rerun",
        action="append",
        default=[],
        metavar="NAME",
        help="with --resume: run NAME, a name or a pattern, and all that depends on it in any case (may be repeated)",
    )
    add(
        "--durable",
        action="store_const",
        const=True,
        default=False,
        help="start nothing before what it depends on is recorded on the disk",
    )


def _add_output(section: Section) -> None:
    add = section.add
    add(
        "--output",
        choices=("stream", "group", "quiet"),
        default="stream",
        help="stream: lines as they come (default); group: each task's output as one block at its end; "
        "quiet: only the output of tasks that failed or were interrupted",
    )
    add(
        "--report",
        choices=("all", "problems", "none"),
        help="all: every task, and what failed in detail; given as such, or with -v, the times too (default: without); "
        "problems: only the tasks that are not ok; none: only the counts",
    )
    add(
        "--status",
        choices=("auto", "always", "never"),
        default="auto",
        help="what runs, while it runs, on standard error: auto: if that is a terminal, or every 30 s a line with CI "
        "set; always: if it is neither, a line too (default: auto)",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto: where it goes to a terminal, unless NO_COLOR is set; FORCE_COLOR goes before (default: auto)",
    )
    add(
        "-v",
        "--verbose",
        action="store_const",
        const=True,
        default=False,
        help="show each command as it starts, why tasks run again, and at the end the times",
    )


def _add_files(section: Section) -> None:
    add = section.add
    add(
        "--json",
        metavar="FILE",
        help="write what happens to FILE as JSON Lines; '-' writes to standard output, and what would be printed there "
        "to standard error",
    )
    add("--trace", metavar="FILE", help="write a trace for Perfetto or chrome://tracing to FILE; compressed if .gz")
    add("--html", metavar="FILE", help="write a page about the run to FILE, which a browser opens without a network")
    add("--junit", metavar="FILE", help="write a report for CI systems to FILE, as JUnit XML")


def _add_looking(section: Section) -> None:
    add = section.add
    flag = {"action": "store_const", "const": True, "default": False}
    add("-n", "--dry-run", **flag, help="check the document and print the order, run nothing")
    add("--list", **flag, help="print the tasks, with their descriptions")
    add("--graph", choices=("dot", "mermaid", "json"), help="print the tasks and their dependencies")
    add("--explain", metavar="NAME", help="print what NAME depends on, what depends on it, and when it starts")
    add(
        "--what-if",
        metavar="LIMITS",
        help="with --journal: how long would a run take with jobs=8, jobs=4,8,all or 'jobs=8 eval-threads=1', by the "
        "durations in it",
    )
    add("--print-completion", choices=SHELLS, help="print a completion script for this shell; needs the package shtab")
    add(
        "--schema",
        nargs="?",
        choices=SCHEMAS,
        metavar="WHAT",
        help="print the JSON schema of documents, or of the 'events' that --json writes",
    )
    section.add_last("--version", action="version", version=f"fastrun {__version__}")


def completion(made: Parser, shell: str) -> str:
    """The script that completes options and files in one of SHELLS. Raises ImportError without shtab."""
    import shtab

    for action in made.options:
        if action.metavar in ("FILE", "DIR"):
            # What shtab looks for.
            vars(action)["complete"] = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY
    return str(shtab.complete(made, shell))


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    return _whole(text, 1)


def count(text: str) -> int:
    """A whole number of 0 or more."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"{text}: must be {least} or more")
    return number


def seconds(text: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    # Written so that "nan" is refused as well.
    if not 0 <= number <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def more_seconds(text: str) -> float:
    """A number of seconds above 0."""
    number = seconds(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0")
    return number


def positive_number(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def size(text: str) -> int:
    """A number of bytes, 1 or more: ``1000000``, ``500M``, ``2G``."""
    digits = text.rstrip("KMGTkmgt")
    unit = text[len(digits) :].upper()
    if not digits.isdecimal() or len(unit) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size (500M, 2G)")
    return positive(digits) << (10 * " KMGT".index(unit) if unit else 0)


def seed(text: str) -> int:
    """A seed, or one at random for an empty text."""
    return count(text) if text else int.from_bytes(os.urandom(3))

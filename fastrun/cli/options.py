"""What the command line takes: every option with its default and its help.

Does not know how options are read, nor what any of them does.
"""

import argparse
import os
from collections.abc import Mapping

from fastrun import __version__
from fastrun.cli.parser import Parser, Section, jobs, limit, number, seed, size, whole
from fastrun.settings import DEFAULTS, DOCUMENT, EVAL_WHERES, JOBSERVERS

# The shells for which completion is printed.
SHELLS = ("bash", "zsh", "fish")

# The options that have a file written about the run.
WRITING = ("json", "trace", "junit", "html")

# The options that print something about the document, instead of running it.
LOOKING = ("dry_run", "list", "graph", "explain", "what_if")

# What there is a schema of.
SCHEMAS = ("document", "events")

_DESCRIPTION = "Run a JSON document of shell commands and Python snippets as concurrently as their dependencies allow."

_EPILOG = r"""
every option can be set by a variable: FASTRUN_JOBS=8, FASTRUN_KEEP_GOING=1, FASTRUN_VERBOSE=1

exit status:
  0  every task is ok          2  bad usage or input; nothing was started
  1  a task failed or was      3  output or journal could not be written in full
     skipped                   124  the run timed out (--max-time)
                               129, 130, 143  after SIGHUP, SIGINT, SIGTERM

examples:
  fastrun build.json           run every task in build.json
  fastrun build.json test 'lint-*'
                               run these tasks and what they need
  generate | fastrun -j 8 -    run a document from a pipe, at most 8 commands at once
  printf 'gzip %s\n' *.log | fastrun --lines
                               run each line as a command
  fastrun -u build.json        run what is not up to date, as make does
  fastrun --journal build.journal --resume build.json
                               go on with a run that was cut off
"""


class _Version(argparse.Action):
    """Prints the version, and the engine that starts commands."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from fastrun.executors.commands.choice import wanted_engine  # 10 ms, which only this option needs

        try:
            engine = wanted_engine()
        except ValueError as error:
            parser.error(str(error))
        parser.exit(message=f"fastrun {__version__} ({engine} engine)\n")


def parser(environ: Mapping[str, str] = os.environ) -> Parser:
    """Return the parser of the command line. ``environ``: where the variables of options are looked for."""
    made = Parser(
        environ,
        prog="fastrun",
        usage="%(prog)s [options] [FILE [NAME ...]]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.section("positional arguments").add_fixed
    add("file", nargs="?", metavar="FILE", help=f"the document (default: {DOCUMENT}); '-' reads standard input")
    add("names", nargs="*", metavar="NAME", help="run these tasks, and all that they need; may be patterns ('test-*')")
    made.section("options").add_fixed("-h", "--help", action="help", help="show this help message and exit")
    running = made.section("running")
    _add_limits(running)
    _add_running(running)
    _add_cluster(made.section("running on a cluster"))
    _add_selecting(made.section("running a part", one_run=True))
    _add_journal(made.section("running what is not done yet", one_run=True))
    _add_output(made.section("output"))
    _add_files(made.section("files for other tools", one_run=True))
    _add_looking(made.section("looking, without running", one_run=True))
    return made


def is_watched(options: argparse.Namespace) -> bool:
    """Return whether another observer beside the console watches the run, or times are wanted."""
    given = any(getattr(options, name) is not None for name in (*WRITING, "logs"))
    return given or shows_times(options) or on_github(os.environ)


def shows_times(options: argparse.Namespace) -> bool:
    """Return whether the report begins with times, which cost each task some microseconds."""
    return bool(options.report == "all" or (options.verbose and options.report != "none"))


def on_github(environ: Mapping[str, str]) -> bool:
    """Return whether this is a step of a GitHub Actions workflow."""
    return environ.get("GITHUB_ACTIONS") == "true"


def _add_limits(section: Section) -> None:
    add = section.add
    add(
        "-j",
        "--jobs",
        type=jobs,
        metavar="N",
        help="at most N commands, and snippets in processes, at once; auto: as many as the processors that fastrun may "
        "use (default: the document's 'jobs', or all that are ready, as far as the system grants it)",
    )
    add(
        "--eval-threads",
        type=limit("eval_threads", whole),
        default=DEFAULTS.eval_threads,
        metavar="N",
        help=f"at most N snippets in threads at once (default: {DEFAULTS.eval_threads})",
    )
    add(
        "--eval-where",
        choices=EVAL_WHERES,
        default=DEFAULTS.eval_where,
        help="thread: run snippets in threads of fastrun's process (default); process: each in a Python process of its "
        "own, within the limit of -j. A task's own 'where' overrides this",
    )
    add(
        "-l",
        "--load",
        type=limit("load", number),
        metavar="LOAD",
        help="start no command while the machine's load is above LOAD and another command runs",
    )
    add(
        "--min-memory",
        type=limit("min_memory", size),
        metavar="SIZE",
        help="start no command while less memory than SIZE (500M, 2G) is available and another command runs",
    )
    add(
        "--jobserver",
        bare=("auto", JOBSERVERS.__contains__),
        choices=JOBSERVERS,
        metavar="[STYLE]",
        help="share the limit of -j (or the number of processors) with make, ninja and cargo in commands; STYLE: fifo, "
        "pipe or, if it is left out, auto: what make reads. In a makefile, and without -j, make's slots are shared",
    )


def _add_running(section: Section) -> None:
    add = section.add
    section.add_flag(
        "--lines",
        one_run=True,
        help="FILE is no document, but has a command in each line (default: standard input)",
    )
    add(
        "-k",
        "--keep-going",
        type=limit("keep_going", whole),
        metavar="N",
        help="after N failures start only tasks that run after a failure (default: the document's 'keep_going', or 0, "
        "never stop)",
    )
    section.add_flag("--fail-fast", dest="keep_going", const=1, default=None, help="the same as -k 1")
    add(
        "--timeout",
        type=limit("timeout", number),
        metavar="SECONDS",
        help="end a task that takes longer, unless it has a 'timeout' of its own (default: never)",
    )
    add(
        "--max-time",
        type=limit("max_time", number),
        metavar="SECONDS",
        help="end the run when it has taken so long, as after SIGTERM, with exit status 124 (default: the document's "
        "'max_time', or never)",
    )
    add(
        "--grace",
        type=limit("grace", number),
        default=DEFAULTS.grace,
        metavar="SECONDS",
        help="time between asking tasks to end and killing them, "
        f"after a signal or a timeout (default: {DEFAULTS.grace:g})",
    )
    add(
        "--shuffle",
        one_run=True,
        bare=("", str.isdecimal),
        type=seed,
        metavar="[SEED]",
        help="start tasks that are ready in a random order, to find missing dependencies; SEED, a number that is "
        "printed, brings the same order again",
    )
    section.add_flag(
        "--no-guardian",
        dest="guardian",
        const=False,
        default=DEFAULTS.guardian,
        help="start no process that ends the commands if fastrun is killed",
    )
    add("-C", "--directory", one_run=True, metavar="DIR", help="change to DIR before anything else")


def _add_cluster(section: Section) -> None:
    add = section.add
    add(
        "--cluster",
        one_run=True,
        metavar="ADDRESS",
        help="run commands on a Dask cluster: its scheduler's address or file, or local:N for N processes on this "
        "machine; needs the extra 'cluster'",
    )
    add(
        "--worker-retries",
        type=limit("worker_retries", whole),
        default=DEFAULTS.worker_retries,
        metavar="N",
        help="run a task again on another worker if its worker was lost, N times at the most "
        f"(default: {DEFAULTS.worker_retries})",
    )


def _add_selecting(section: Section) -> None:
    add = section.add_repeatable
    add(
        "--only",
        metavar="NAME",
        help="run NAME, a name or a pattern, without what it needs (all of these: may be repeated)",
    )
    add("--from", dest="roots", metavar="NAME", help="run NAME and all that depends on it")
    add("--tag", metavar="TAG", help="run the tasks with this tag, and all that they need")
    add("--exclude", metavar="NAME", help="leave NAME out; tasks that depend on it run as if it were ok")


def _add_journal(section: Section) -> None:
    section.add_flag(
        "-u",
        "--update",
        help="run only tasks whose files or variables, named in the document, changed since they were ok, and "
        "tasks that name none",
    )
    section.add(
        "--journal",
        metavar="FILE",
        help="record the run in FILE, from which another run can go on (default with -u, --resume or --rerun: "
        ".fastrun/NAME.journal beside the document)",
    )
    section.add_flag("--resume", help="run only tasks that are not ok in the journal or have changed since")
    section.add_repeatable(
        "--rerun",
        metavar="NAME",
        help="run NAME, a name or a pattern, and all that depends on it in any case, and of the rest what is not ok in "
        "the journal: as --resume, unless with --update (may be repeated)",
    )
    section.add_flag("--durable", help="start no task before the end of its dependencies is recorded on the disk")


def _add_output(section: Section) -> None:
    add = section.add
    add(
        "--output",
        choices=("stream", "prefix", "group", "quiet"),
        default="stream",
        help="stream: lines as they come (default); prefix: each line with its task's name before it; group: each "
        "task's output as one block at its end; quiet: only the output of tasks that failed or were interrupted",
    )
    add(
        "--report",
        choices=("all", "problems", "none"),
        help="all: every task, and what failed in detail; given as such, or with -v, the times too (default: without); "
        "problems: only the tasks that are not ok, and what failed; none: only the counts",
    )
    add(
        "--status",
        choices=("auto", "always", "never"),
        default="auto",
        help="what runs, while it runs, on standard error: auto: on a terminal, or with CI set as a line every "
        "30 s; always: without a terminal as such a line (default: auto)",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto: where it goes to a terminal, unless NO_COLOR is set; FORCE_COLOR overrides both (default: auto)",
    )
    section.add_flag(
        "-v", "--verbose", help="show each command as it starts, why tasks run again, and at the end the times"
    )


def _add_files(section: Section) -> None:
    add = section.add
    add(
        "--json",
        metavar="FILE",
        help="write what happens to FILE as JSON Lines; '-' writes to standard output, and what would be printed there "
        "to standard error",
    )
    add(
        "--logs",
        metavar="DIR",
        help="write all that each task prints to a file of its own in DIR, which is made if it is missing",
    )
    add("--trace", metavar="FILE", help="write a trace for Perfetto or chrome://tracing to FILE; compressed if .gz")
    add("--html", metavar="FILE", help="write a page about the run to FILE, which a browser opens without a network")
    add("--junit", metavar="FILE", help="write a report for CI systems to FILE, as JUnit XML")


def _add_looking(section: Section) -> None:
    add = section.add
    section.add_flag("-n", "--dry-run", help="check the document and print the order, run nothing")
    section.add_flag("--list", help="print the tasks, with their descriptions")
    add("--graph", choices=("dot", "mermaid", "json"), help="print the tasks and their dependencies")
    add(
        "--explain",
        metavar="NAME",
        help="print what NAME depends on, what depends on it, and when it starts; with --update or --resume also why "
        "it would run",
    )
    add(
        "--what-if",
        metavar="LIMITS",
        help="with --journal: how long would a run take with jobs=8, jobs=4,8,all or 'jobs=8 eval-threads=1', by the "
        "durations in it",
    )
    add("--print-completion", choices=SHELLS, help="print a completion script for this shell; needs the package shtab")
    add(
        "--schema",
        bare=(SCHEMAS[0], SCHEMAS.__contains__),
        choices=SCHEMAS,
        metavar="[WHAT]",
        help="print the JSON schema of documents, or of the 'events' that --json writes",
    )
    section.add_fixed("--version", action=_Version, nargs=0, help="print the version and the engine of commands")

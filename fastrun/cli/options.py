"""What the command line takes: every option with its default and its help.

Does not know how options are read, nor what any of them does.
"""

import argparse
import os
from collections.abc import Mapping
from functools import partial

from fastrun import __version__
from fastrun.cli.parser import Parser, Section, jobs, limit, memory, number, seconds, seed, size, whole
from fastrun.settings import DEFAULTS, DOCUMENT, EVAL_WHERES, JOBSERVERS

# The shells for which completion is printed.
SHELLS = ("bash", "zsh", "fish")

# The options that have a file written about the run.
WRITING = ("json", "trace", "junit", "html")

# The options that print something about the document, instead of running it.
LOOKING = ("dry_run", "list", "graph", "explain", "what_if")

# What there is a schema of.
SCHEMAS = ("document", "events")

# Columns of the help, whatever the terminal has: texts of an exact width are laid out by hand.
_COLUMNS = 80

_DESCRIPTION = """\
Run a JSON document of shell commands and Python snippets, as concurrently as
their dependencies allow."""

_EPILOG = """\
Every option can be set by a variable too: FASTRUN_JOBS=8, FASTRUN_VERBOSE=1.

exit status:
  0                     every task is ok
  1                     a task failed or was skipped
  2                     bad usage or input; nothing was started
  3                     output or journal could not be written in full
  124                   the time of the run was over (--max-time)
  129, 130, 143         after SIGHUP, SIGINT, SIGTERM

examples:
  fastrun build.json    run every task of build.json
  fastrun -j 8 -u build.json test 'lint-*'
                        run these tasks and all that they need, at most 8 at
                        once, and only what is not up to date
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
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=_COLUMNS),
    )
    _add_document(made.section("the document", one_run=True))
    _add_limits(made.section("how much runs at once"))
    _add_ends(made.section("failures and time"))
    _add_selecting(made.section("a part of the document", one_run=True))
    _add_journal(made.section("what need not run again", one_run=True))
    _add_output(made.section("what is shown"))
    _add_files(made.section("files about the run", one_run=True))
    _add_looking(made.section("looking without running", one_run=True))
    _add_cluster(made.section("running on a cluster"))
    _add_others(made.section("other"))
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


def _add_document(section: Section) -> None:
    section.add_fixed(
        "file", nargs="?", metavar="FILE", help=f"the document (default: {DOCUMENT}); '-' reads standard input"
    )
    section.add_fixed(
        "names",
        nargs="*",
        metavar="NAME",
        help="run these tasks and all that they need; a NAME may be a pattern ('test-*')",
    )
    section.add_flag("--lines", help="FILE has a command in each line, and is not JSON (default FILE: standard input)")
    section.add("-C", "--directory", metavar="DIR", help="change to DIR before anything else")


def _add_limits(section: Section) -> None:
    add = section.add
    add(
        "-j",
        "--jobs",
        type=jobs,
        metavar="N",
        help="run at most N commands, and snippets in processes, at once; auto: one for each processor that fastrun "
        "may use (default: the document's 'jobs', or all that are ready and that the system grants)",
    )
    add(
        "--eval-threads",
        type=limit("eval_threads", whole),
        default=DEFAULTS.eval_threads,
        metavar="N",
        help=f"run at most N snippets in threads at once (default: {DEFAULTS.eval_threads})",
    )
    add(
        "--eval-where",
        choices=EVAL_WHERES,
        default=DEFAULTS.eval_where,
        help="where snippets run that do not say it themselves; thread: in fastrun's own process (default); process: "
        "each in a Python of its own, within the limit of -j",
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
        "--memory",
        type=memory,
        metavar="SIZE",
        help="start a command only if what it and those that run are expected to need fits into SIZE (8G), or if none "
        "runs; off: whatever they need (default: what the machine and its control groups have)",
    )
    add(
        "--jobserver",
        bare=("auto", JOBSERVERS.__contains__),
        choices=JOBSERVERS,
        metavar="[STYLE]",
        help="share the limit of -j, or the number of processors, with make, ninja and cargo in commands; STYLE: fifo, "
        "pipe, or auto for what make reads (default). In a makefile, and without -j, make's job slots are shared",
    )


def _add_ends(section: Section) -> None:
    add = section.add
    add(
        "-k",
        "--keep-going",
        type=limit("keep_going", whole),
        metavar="N",
        help="after N failures start nothing more, except tasks with 'when' set to failed or always; 0: never stop "
        "(default: the document's 'keep_going', or 0)",
    )
    section.add_flag("--fail-fast", dest="keep_going", const=1, default=None, help="stop at the first failure: -k 1")
    add(
        "--timeout",
        type=limit("timeout", seconds),
        metavar="SECONDS",
        help="end a task that takes longer, unless it has a 'timeout' of its own (default: never)",
    )
    add(
        "--max-time",
        type=limit("max_time", seconds),
        metavar="SECONDS",
        help="end the run after this time, as SIGTERM does, with exit status 124 (default: the document's 'max_time', "
        "or never)",
    )
    add(
        "--grace",
        type=limit("grace", seconds),
        default=DEFAULTS.grace,
        metavar="SECONDS",
        help="wait so long between asking a task to end and killing it, after a signal or a timeout "
        f"(default: {DEFAULTS.grace:g})",
    )


def _add_selecting(section: Section) -> None:
    add = section.add_repeatable
    add("--only", metavar="NAME", help="run NAME without what it needs; may be given again, as the next three may")
    add("--from", dest="roots", metavar="NAME", help="run NAME and all that depends on it")
    add("--tag", metavar="TAG", help="run the tasks with this tag, and all that they need")
    add("--exclude", metavar="NAME", help="leave NAME out; tasks that depend on it run as if it were ok")


def _add_journal(section: Section) -> None:
    section.add_flag(
        "-u",
        "--update",
        help="run only what is not up to date: tasks whose files or variables have changed, and tasks that name none",
    )
    section.add(
        "--journal",
        metavar="FILE",
        help="record the run in FILE, from which a later run can go on (default with -u, --resume or --rerun: "
        ".fastrun/NAME.journal beside the document)",
    )
    section.add_flag("--resume", help="run only tasks that are not ok in the journal, or have changed since")
    section.add_repeatable(
        "--rerun",
        metavar="NAME",
        help="run NAME and all that depends on it in any case; the rest as with --resume, or with -u if that is given; "
        "may be given again",
    )
    section.add_flag("--durable", help="start a task only when the ends of its dependencies are safe on the disk")


def _add_output(section: Section) -> None:
    add = section.add
    add(
        "--output",
        choices=("stream", "prefix", "group", "quiet"),
        default="stream",
        help="how the output of tasks is shown; stream: lines as they come (default); prefix: each line behind its "
        "task's name; group: each task's output as one block at its end; quiet: only of tasks that failed or were "
        "interrupted",
    )
    add(
        "--report",
        choices=("all", "problems", "none"),
        help="what the report lists; all: every task, and with -v or where all is given here also the times; "
        "problems: only tasks that are not ok, and what failed; none: only the counts, below the line 'Report:' "
        "(default: all, without the times)",
    )
    add(
        "--status",
        choices=("auto", "always", "never"),
        default="auto",
        help="show on standard error what runs now; auto: live on a terminal, and with CI set a line every 30 s "
        "(default); always: such a line without a terminal too",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour what is shown; auto: on a terminal, unless NO_COLOR is set; FORCE_COLOR goes over both "
        "(default: auto)",
    )
    section.add_flag(
        "-v", "--verbose", help="show each command as it starts, why tasks run again, and the times at the end"
    )


def _add_files(section: Section) -> None:
    add = section.add
    add(
        "--json",
        metavar="FILE",
        help="write what happens to FILE as JSON Lines; '-' writes to standard output, and all else to standard error",
    )
    add("--logs", metavar="DIR", help="write all that each task prints to a file of its own in DIR; makes DIR")
    add("--trace", metavar="FILE", help="write a trace for Perfetto or chrome://tracing to FILE; compressed if .gz")
    add("--html", metavar="FILE", help="write a page about the run to FILE; a browser opens it without a network")
    add("--junit", metavar="FILE", help="write a report for CI systems to FILE, as JUnit XML")


def _add_looking(section: Section) -> None:
    add = section.add
    section.add_flag("-n", "--dry-run", help="check the document and print the order; run nothing")
    section.add_flag("--list", help="print the tasks, with their descriptions")
    add("--graph", choices=("dot", "mermaid", "json"), help="print the tasks and their dependencies as a graph")
    add(
        "--explain",
        metavar="NAME",
        help="print what NAME depends on, what depends on it, and when it starts; with -u or --resume also why it "
        "would run",
    )
    add(
        "--what-if",
        metavar="LIMITS",
        help="print how long a run with LIMITS would take, by the durations and sizes in --journal; LIMITS: "
        "'jobs=8 eval-threads=1 memory=4G', or jobs=4,8,all for several",
    )


def _add_cluster(section: Section) -> None:
    add = section.add
    add(
        "--cluster",
        one_run=True,
        metavar="ADDRESS",
        help="run commands on a Dask cluster; ADDRESS: its scheduler's address or file, or local:N for N processes on "
        "this machine. Needs the extra 'cluster'",
    )
    add(
        "--worker-retries",
        type=limit("worker_retries", whole),
        default=DEFAULTS.worker_retries,
        metavar="N",
        help="run a task again on another worker if its worker was lost, at most N times "
        f"(default: {DEFAULTS.worker_retries})",
    )


def _add_others(section: Section) -> None:
    add = section.add
    add(
        "--shuffle",
        one_run=True,
        bare=("", str.isdecimal),
        type=seed,
        metavar="[SEED]",
        help="start ready tasks in a random order, to find missing dependencies; SEED: a number that an earlier run "
        "printed, for the same order again",
    )
    section.add_flag(
        "--no-guardian",
        dest="guardian",
        const=False,
        default=DEFAULTS.guardian,
        help="start no process that ends the commands if fastrun is killed",
    )
    add(
        "--print-completion",
        one_run=True,
        choices=SHELLS,
        help="print the script by which a shell completes options, files and names of tasks",
    )
    add(
        "--schema",
        one_run=True,
        bare=(SCHEMAS[0], SCHEMAS.__contains__),
        choices=SCHEMAS,
        metavar="[WHAT]",
        help="print the JSON schema; WHAT: 'document' (default), or 'events' for what --json writes",
    )
    section.add_fixed("--version", action=_Version, nargs=0, help="print the version and the engine of commands")
    section.add_fixed("-h", "--help", action="help", help="print this help")

"""Loads what a command line names: the document, or a part of it, and what its journal says of it.

Knows the options of a part and of a journal. Does not know what is done with the graph.
"""

import argparse
import os
from typing import TYPE_CHECKING, cast

from fastrun.cli.say import EXIT_USAGE, Exit, say, usage_error
from fastrun.document.problems import SpecError
from fastrun.loading import load_graph, settings_for
from fastrun.plan.conditions import after_failures
from fastrun.plan.graph import Graph
from fastrun.settings import DOCUMENT, JOURNALS, Options, RunSettings
from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.journal.resume import Plan


def load(options: argparse.Namespace) -> Graph:
    """Return the graph of the document, or of the part that is to be run. Raises Exit when there is none."""
    if options.file == "-" and os.isatty(0):
        say(f"fastrun: reading {'commands' if options.lines else 'the document'} from the terminal, up to Ctrl-D")
    try:
        graph = load_graph(options.file, warn=say, lines=options.lines)
    except SpecError as error:
        # The name of a task may be that of a file too, which the task makes.
        is_document = options.file.endswith((".json", ".yaml", ".yml")) or ": invalid JSON: " not in str(error)
        hint = "" if is_document else hint_at_document(options)
        raise Exit(EXIT_USAGE, f"{error}{hint}") from None
    except OSError as error:
        raise usage_error(f"{options.file}: {error.strerror}") from None
    if options.names or options.only or options.roots or options.tag or options.exclude:
        # A run of a whole document does not need it.
        from fastrun.plan.selection import Selection, part_of, select

        chosen = Selection(options.names, options.only, options.roots, options.tag, options.exclude)
        try:
            graph = part_of(graph, select(graph, chosen))
        except ValueError as error:
            raise usage_error(str(error)) from None
    if options.shuffle is not None:
        graph.shuffle(options.shuffle)
        say(f"fastrun: --shuffle {options.shuffle} brings this order again")
    return graph


def hint_at_document(options: argparse.Namespace) -> str:
    """Return what is said behind an error if the document seems to be the name of a task, else nothing."""
    if options.names or options.file in ("-", DOCUMENT) or not os.path.exists(DOCUMENT):
        return ""
    from shlex import quote

    return f"; a document comes before names of tasks: fastrun {DOCUMENT} {quote(options.file)}"


def settings_of(options: argparse.Namespace, graph: Graph) -> RunSettings:
    """Return the settings of a run of a graph. What no option and no variable says is None, and the document's."""
    said = {name: getattr(options, name) for name in RunSettings._fields}
    given = {name: value for name, value in said.items() if value is not None}
    return settings_for(graph, cast("Options", given))


def journal_error(options: argparse.Namespace, error: OSError | ValueError) -> Exception:
    """Return what an error becomes that is raised where a journal or a cluster is taken into use."""
    if isinstance(error, SpecError):
        return Exit(EXIT_USAGE, str(error))
    if isinstance(error, OSError) and error.errno is not None:
        named = error.filename is not None and error.filename == options.journal
        return usage_error(f"{options.journal}: {error.strerror}") if named else error
    return usage_error(str(error))


def make_journal_folder(options: argparse.Namespace) -> None:
    """Make the folder of a journal that no option names. Git passes over it, as over the caches of other tools."""
    folder = os.path.dirname(options.journal or "")
    ignored = os.path.join(folder, ".gitignore")
    is_continued = options.update or options.resume
    if not is_continued or os.path.basename(folder) != JOURNALS or os.path.exists(ignored):
        return
    try:
        # Another run may make it too.
        os.makedirs(folder, exist_ok=True)
        with open(ignored, "w", encoding="ascii") as file:
            file.write("*\n")
    except OSError as error:
        raise usage_error(f"{folder}: {error.strerror}") from None


def say_plan(graph: Graph, plan: "Plan", options: argparse.Namespace) -> None:
    """Say how many tasks run and how many need not. ``plan``: where tasks may run, without a reason for these."""
    state = "up to date" if options.update else "ok"
    unneeded = after_failures(graph)
    undecided = plan.undecided - unneeded
    runs = len(plan.why.keys() - plan.undecided - unneeded)
    may = f", {len(undecided)} may run" if undecided else ""
    counts = f"{len(plan.reused)} of {len(graph)} tasks are {state}, {runs} run{'s' * (runs == 1)}{may}"
    say(f"fastrun: {printable(options.journal)}: {counts}")


def foreseen(graph: Graph, options: argparse.Namespace) -> "Plan":
    """Return what a run would do, by its journal. Raises Exit."""
    from fastrun.journal.recovery import foresee  # which a look without a journal does not need

    try:
        return foresee(graph, options.journal, settings_of(options, graph))
    except (OSError, ValueError) as error:
        raise journal_error(options, error) from None

"""Prints in which order tasks would start, and runs nothing.

Knows the graph and, with a journal, what need not run again.
"""

import argparse
from collections.abc import Sequence

from fastrun.cli.load import journal_error, load, say_plan
from fastrun.cli.look.names import names_of
from fastrun.cli.look.show import order_lines
from fastrun.cli.options import settings_of
from fastrun.cli.say import put, say
from fastrun.plan.scheduler import order


def dry_run(options: argparse.Namespace) -> int:
    """Print the order. Returns the exit code."""
    graph = load(options)
    reused: Sequence[int] = ()
    if options.journal is not None:
        # Only with a journal.
        from fastrun.journal.recovery import foresee

        try:
            plan = foresee(graph, options.journal, settings_of(options))
        except (OSError, ValueError) as error:
            raise journal_error(options, error) from None
        say_plan(graph, plan, options)
        reused = plan.reused
    starting = order(graph, reused)
    if len(starting) + len(reused) < len(graph):
        others = {*range(len(graph))}.difference(starting, reused)
        say(f"fastrun: {len(others)} more if something fails: {names_of(graph, sorted(others))}")
    return put(f"{line}\n" for line in order_lines(graph, starting, verbose=options.verbose))

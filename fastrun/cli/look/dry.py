"""Prints in which order tasks would start, and runs nothing.

Knows the graph and, with a journal, what need not run again.
"""

import argparse
from collections.abc import Mapping, Sequence

from fastrun.cli.load import foreseen, load, say_plan
from fastrun.cli.look.names import names_of
from fastrun.cli.look.show import order_lines
from fastrun.cli.say import put, say
from fastrun.plan.conditions import after_failures
from fastrun.plan.scheduler import order


def dry_run(options: argparse.Namespace) -> int:
    """Print the order. Returns the exit code."""
    graph = load(options)
    reused: Sequence[int] = ()
    why: Mapping[int, str] = {}
    if options.journal is not None:
        plan = foreseen(graph, options)
        reused = plan.reused
        if options.resume or options.update:
            say_plan(graph, plan, options)
            why = plan.why
    starting = order(graph, reused)
    if others := after_failures(graph).difference(reused):
        say(f"fastrun: {len(others)} more only if something fails: {names_of(graph, sorted(others))}")
    return put(f"{line}\n" for line in order_lines(graph, starting, why, verbose=options.verbose))

"""Prints how long a run would take with other limits: recorded durations, replayed on the real scheduler.

Knows the graph, durations and the scheduler. Time is only counted and nothing is run. A plain run does not import it.
"""

import argparse
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from fastrun.cli.load import journal_error, load, settings_of
from fastrun.cli.look.names import path_of
from fastrun.cli.say import put, say, usage_error
from fastrun.journal.recovery import read
from fastrun.outcome import Status
from fastrun.plan.graph import Graph, durations
from fastrun.plan.lanes import runs_in_process
from fastrun.plan.scheduler import Scheduler
from fastrun.settings import DEFAULTS, RunSettings


class Limits(NamedTuple):
    """Most commands and most snippets that run at once. ``jobs`` is None for all that are ready.

    A snippet in a process counts as a command.
    """

    jobs: int | None = None
    eval_threads: int = DEFAULTS.eval_threads

    def __str__(self) -> str:
        threads = f", eval-threads={self.eval_threads}" if self.eval_threads != DEFAULTS.eval_threads else ""
        return f"jobs={'all' if self.jobs is None else self.jobs}{threads}"


def what_if(options: argparse.Namespace) -> int:
    """Print how long the run would take. Returns the exit code."""
    graph = load(options)
    try:
        limits = parse_limits(options.what_if)
    except ValueError as error:
        raise usage_error(f"--what-if: {error}") from None
    if not os.path.exists(options.journal):
        raise usage_error(f"{options.journal}: {os.strerror(errno.ENOENT)}")
    try:
        seconds, unknown = known_seconds(graph, read(options.journal).seconds)
    except (OSError, ValueError) as error:
        raise journal_error(options, error) from None
    graph.rank_by(dict(zip((task.name for task in graph.tasks), seconds, strict=True)))
    if unknown:
        say(f"fastrun: {unknown} of {len(graph)} tasks have no recorded duration and count with the mean of the others")
    return put(f"{line}\n" for line in lines(graph, seconds, limits, settings_of(options, graph)))


def parse_limits(text: str) -> list[Limits]:
    """Return the limits, one for each number of jobs, of ``jobs=8``, ``jobs=4,8,all`` or ``jobs=8 eval-threads=1``.

    Raises ValueError for anything else.
    """
    said = dict(part.split("=", 1) for part in text.split() if "=" in part)
    if not said or len(said) < len(text.split()) or not said.keys() <= {"jobs", "eval-threads"}:
        raise ValueError(f"{text!r} is not of the form jobs=8, jobs=4,8,all or 'jobs=8 eval-threads=1'")
    threads = _number(said.get("eval-threads", str(DEFAULTS.eval_threads)))
    numbers = said.get("jobs", "all").split(",")
    return [Limits(None if number == "all" else _number(number), threads) for number in numbers]


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError(f"{text!r} is not a number of 1 or more")
    return int(text)


def simulate(graph: Graph, seconds: Sequence[float], limits: Limits, settings: RunSettings = DEFAULTS) -> float:
    """Return the seconds that a run takes if each task is ok and takes its ``seconds``, and nothing else takes time."""
    lanes = bytes(not runs_in_process(task, settings) for task in graph.tasks)
    scheduler = Scheduler(graph, lanes, 2, longest_chain=1)
    slots = [len(graph) if limits.jobs is None else limits.jobs, limits.eval_threads]
    running: list[tuple[float, int]] = []
    now = 0.0
    while True:
        for lane, most in enumerate(slots):
            free = most - scheduler.running[lane]
            for (task,) in scheduler.start(lane, free) if free else ():
                heappush(running, (now + seconds[task], task))
        if not running:
            return now
        now, task = heappop(running)
        scheduler.task_ended(task, Status.OK)


def known_seconds(graph: Graph, recorded: Mapping[str, float]) -> tuple[list[float], int]:
    """Return the seconds of each task, see ``durations``, and of how many tasks they are not recorded.

    Raises ValueError if none are recorded.
    """
    seconds, known = durations(graph.tasks, recorded)
    if graph.tasks and not known:
        raise ValueError("the journal holds no duration of these tasks: run them once with --journal")
    return seconds, len(graph) - known


def lines(graph: Graph, seconds: list[float], wanted: Sequence[Limits], settings: RunSettings) -> Iterator[str]:
    """Yield how long a run takes with each of the limits, and the path that no limit makes shorter."""
    for limits in wanted:
        yield f"{limits}: {simulate(graph, seconds, limits, settings):.2f} s"
    path = graph.critical_path(seconds)
    yield f"work: {sum(seconds):.2f} s"
    yield f"critical path: {sum(seconds[number] for number in path):.2f} s: {path_of(graph, path)}"

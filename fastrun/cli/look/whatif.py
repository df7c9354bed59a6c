"""Prints how long a run would take with other limits: recorded durations, replayed on the real scheduler.

Knows the graph, seconds and the scheduler. No clock passes and nothing is run; a plain run does not import it.
"""

import argparse
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from fastrun.cli.load import journal_error, load
from fastrun.cli.say import put, say, usage_error
from fastrun.journal.recovery import read
from fastrun.outcome import Status
from fastrun.plan.graph import Graph
from fastrun.plan.scheduler import Scheduler
from fastrun.settings import DEFAULTS

# Names that are shown at each end of a long path.
_NAMES_SHOWN = 10


class Limits(NamedTuple):
    """Most commands and snippets that run at once; ``jobs`` None for all that are ready."""

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
        say(f"fastrun: of {unknown} of {len(graph)} tasks no duration is recorded; the mean of the others is taken")
    return put(f"{line}\n" for line in lines(graph, seconds, limits))


def parse_limits(text: str) -> list[Limits]:
    """Read ``jobs=8``, ``jobs=4,8,all`` or ``jobs=8 eval-threads=1``. Returns Limits for each number of jobs.

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


def simulate(graph: Graph, seconds: Sequence[float], limits: Limits) -> float:
    """Return the seconds that a run takes if each task is ok and takes its ``seconds``, and nothing else takes any."""
    lanes = bytes(task.type == "eval" for task in graph.tasks)
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


def critical_path(graph: Graph, seconds: Sequence[float]) -> list[int]:
    """Return the path through the graph that takes longest: no run is shorter, however many run at once."""
    waiting_on = graph.waiting_on[:]
    begins = [0.0] * len(graph)
    before: dict[int, int] = {}
    order = [number for number, count in enumerate(waiting_on) if not count]
    for number in order:
        end = begins[number] + seconds[number]
        for dependent in graph.dependents[graph.offsets[number] : graph.offsets[number + 1]]:
            if end > begins[dependent] or dependent not in before:
                begins[dependent] = end
                before[dependent] = number
            waiting_on[dependent] -= 1
            if not waiting_on[dependent]:
                order.append(dependent)
    path: list[int] = []
    last = max(order, key=lambda number: begins[number] + seconds[number], default=None)
    while last is not None:
        path.append(last)
        last = before.get(last)
    path.reverse()
    return path


def known_seconds(graph: Graph, recorded: Mapping[str, float]) -> tuple[list[float], int]:
    """Return the seconds of each task, and for how many tasks they are the mean of the others: none are recorded.

    Raises ValueError if none is known.
    """
    known = [recorded[task.name] for task in graph.tasks if task.name in recorded]
    if graph.tasks and not known:
        raise ValueError("no task of the document was ok in a run that is recorded: there are no durations to go by")
    mean = sum(known) / len(known) if known else 0.0
    return [recorded.get(task.name, mean) for task in graph.tasks], len(graph) - len(known)


def lines(graph: Graph, seconds: Sequence[float], wanted: Sequence[Limits]) -> Iterator[str]:
    """Yield how long a run takes with each limit, and the path that no limit makes shorter."""
    for limits in wanted:
        yield f"{limits}: {simulate(graph, seconds, limits):.2f} s"
    path = critical_path(graph, seconds)
    labels = [graph.tasks[number].label for number in path]
    if len(labels) > 2 * _NAMES_SHOWN:
        labels[_NAMES_SHOWN:-_NAMES_SHOWN] = ["..."]
    yield f"work: {sum(seconds):.2f} s"
    yield f"critical path: {sum(seconds[number] for number in path):.2f} s: {' -> '.join(labels)}"

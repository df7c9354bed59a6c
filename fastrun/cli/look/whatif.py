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
from fastrun.executors.gates.memory import MOST_WAITING, Ledger, Waiting
from fastrun.journal.recovery import read
from fastrun.outcome import Status
from fastrun.plan.graph import Graph, durations
from fastrun.plan.lanes import runs_in_process
from fastrun.plan.scheduler import Scheduler
from fastrun.settings import DEFAULTS, RunSettings
from fastrun.sizes import size_of, size_shown


class Limits(NamedTuple):
    """Most commands and most snippets that run at once. ``jobs`` is None for all that are ready.

    A snippet in a process counts as a command. ``memory``: bytes for all commands, None for any.
    """

    jobs: int | None = None
    eval_threads: int = DEFAULTS.eval_threads
    memory: int | None = None

    def __str__(self) -> str:
        threads = f", eval-threads={self.eval_threads}" if self.eval_threads != DEFAULTS.eval_threads else ""
        memory = "" if self.memory is None else f", memory={size_shown(self.memory)}"
        return f"jobs={'all' if self.jobs is None else self.jobs}{threads}{memory}"


class Replay(NamedTuple):
    """A run that was simulated. ``waits``: for how many seconds each task waited that did so for memory alone."""

    seconds: float
    waits: list[float]

    def __str__(self) -> str:
        if not self.waits:
            return f"{self.seconds:.2f} s"
        tasks = "1 task waits" if len(self.waits) == 1 else f"{len(self.waits):,} tasks wait"
        return f"{self.seconds:.2f} s; {tasks} for memory, {sum(self.waits):.2f} s together"


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
        recorded = read(options.journal)
        seconds, unknown = known_seconds(graph, recorded.seconds)
    except (OSError, ValueError) as error:
        raise journal_error(options, error) from None
    graph.rank_by(dict(zip((task.name for task in graph.tasks), seconds, strict=True)))
    if unknown:
        say(f"fastrun: {unknown} of {len(graph)} tasks have no recorded duration and count with the mean of the others")
    sizes = known_sizes(graph, recorded.memory)
    return put(f"{line}\n" for line in lines(graph, seconds, limits, settings_of(options, graph), sizes))


def parse_limits(text: str) -> list[Limits]:
    """Return the limits, one for each number of jobs, of ``jobs=8``, ``jobs=4,8,all`` or ``jobs=8 memory=4G``.

    Raises ValueError for anything else.
    """
    said = dict(part.split("=", 1) for part in text.split() if "=" in part)
    if not said or len(said) < len(text.split()) or not said.keys() <= {"jobs", "eval-threads", "memory"}:
        raise ValueError(f"{text!r} is not of the form jobs=8, jobs=4,8,all or 'jobs=8 eval-threads=1 memory=4G'")
    threads = _number(said.get("eval-threads", str(DEFAULTS.eval_threads)))
    memory = size_of(said["memory"]) if "memory" in said else None
    numbers = said.get("jobs", "all").split(",")
    return [Limits(None if number == "all" else _number(number), threads, memory) for number in numbers]


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError(f"{text!r} is not a number of 1 or more")
    return int(text)


class _Simulation:
    """A run in which each task is ok and takes its seconds, and nothing else takes time."""

    def __init__(
        self, graph: Graph, seconds: Sequence[float], limits: Limits, settings: RunSettings, sizes: Sequence[int]
    ) -> None:
        self._seconds = seconds
        self._lanes = bytes(not runs_in_process(task, settings) for task in graph.tasks)
        self._scheduler = Scheduler(graph, self._lanes, 2, longest_chains=(1, 1))
        self._slots = [len(graph) if limits.jobs is None else limits.jobs, limits.eval_threads]
        self._ledger = Ledger(limits.memory or 0)
        self._waiting: Waiting | None = None
        if limits.memory is not None:
            self._waiting = Waiting(self._ledger, lambda number: (sizes[number], True))
        # By task that waits for memory, since when.
        self._since: dict[int, float] = {}
        self._waits: list[float] = []
        self._running: list[tuple[float, int]] = []
        self._commands: set[int] = set()
        self._now = 0.0

    def run(self) -> Replay:
        while True:
            self._start_waiting()
            for lane in range(2):
                self._start_ready(lane)
            if not self._running:
                return Replay(self._now, self._waits)
            self._now, task = heappop(self._running)
            self._commands.discard(task)
            self._ledger.forget(task)
            self._scheduler.task_ended(task, Status.OK)

    def _start_waiting(self) -> None:
        while self._waiting is not None and len(self._commands) < self._slots[0]:
            task = self._waiting.next(busy=bool(self._commands))
            if task is None:
                break
            self._waits.append(self._now - self._since.pop(task))
            self._start(task)

    def _start_ready(self, lane: int) -> None:
        while True:
            # A task that waits for memory counts as running.
            waiting = 0 if lane else len(self._since)
            full = self._scheduler.running[lane] - waiting >= self._slots[lane] or waiting >= MOST_WAITING
            chains = [] if full else self._scheduler.start(lane, 1)
            if not chains:
                break
            task = chains[0][0]
            if lane or self._waiting is None or not self._waiting.holds(task, busy=bool(self._commands)):
                self._start(task)
            else:
                self._since[task] = self._now

    def _start(self, task: int) -> None:
        heappush(self._running, (self._now + self._seconds[task], task))
        if not self._lanes[task]:
            self._commands.add(task)


def simulate(
    graph: Graph, seconds: Sequence[float], limits: Limits, settings: RunSettings = DEFAULTS, sizes: Sequence[int] = ()
) -> Replay:
    """Return how a run goes if each task is ok and takes its ``seconds``, and nothing else takes time.

    ``sizes``: what each task needs of the memory.
    """
    return _Simulation(graph, seconds, limits, settings, sizes).run()


def known_seconds(graph: Graph, recorded: Mapping[str, float]) -> tuple[list[float], int]:
    """Return the seconds of each task, see ``durations``, and of how many tasks they are not recorded.

    Raises ValueError if none are recorded.
    """
    seconds, known = durations(graph.tasks, recorded)
    if graph.tasks and not known:
        raise ValueError("the journal holds no duration of these tasks: run them once with --journal")
    return seconds, len(graph) - known


def known_sizes(graph: Graph, recorded: Mapping[str, int]) -> list[int]:
    """Return what each task needs of the memory: what it says or what is recorded, else the mean of those."""
    sizes = [task.memory or recorded.get(task.name) for task in graph.tasks]
    known = [size for size in sizes if size is not None]
    mean = sum(known) // len(known) if known else 0
    return [mean if size is None else size for size in sizes]


def lines(
    graph: Graph, seconds: list[float], wanted: Sequence[Limits], settings: RunSettings, sizes: Sequence[int] = ()
) -> Iterator[str]:
    """Yield how long a run takes with each of the limits, and the path that no limit makes shorter."""
    for limits in wanted:
        yield f"{limits}: {simulate(graph, seconds, limits, settings, sizes)}"
    path = graph.critical_path(seconds)
    yield f"work: {sum(seconds):.2f} s"
    yield f"critical path: {sum(seconds[number] for number in path):.2f} s: {path_of(graph, path)}"

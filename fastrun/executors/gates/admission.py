"""Admission of commands by the memory that they will need.

Knows the loop and when to read the machine. What may start is decided in ``memory``, how commands start elsewhere.

Commands of which nothing is known share a number of slots, ``bound``: an engine keeps to it by itself, so that trivial
commands cost no more. They are asked for one by one once their sizes differ, or once they last so long that it costs
nothing.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

from fastrun.document.problems import Problem
from fastrun.document.task import Task
from fastrun.executors.commands.process import Process
from fastrun.executors.gates.memory import (
    ASSUMED,
    MOST_WAITING,
    NO_BOUND,
    Ledger,
    Sizes,
    Waiting,
    fits_in_any_case,
    slots_for,
    with_margin,
)
from fastrun.executors.gates.readings import Machine
from fastrun.executors.peaks import PEAK_UNIT, is_known, last_own_peak, own_peak
from fastrun.plan.graph import Graph
from fastrun.plan.lanes import runs_in_process
from fastrun.protocols import Chain
from fastrun.settings import RunSettings
from fastrun.sizes import size_shown

# Seconds between looks at the machine while memory limits how many commands run, and while it does not.
_LOOK = 0.25
_LOOK_IDLY = 1.0

# Most of its time that the loop spends on looks: on a machine with very many processes they come more rarely.
_MOST_LOOKING = 1 / 20

# Seconds that commands last, on average, from which on asking for each of them costs nothing.
_LASTING = 0.01

# Times the commands that run that must have room beside, or each of them is looked at.
_ENOUGH = 2

# Largest known size that needs no asking for each command: the slots are counted by the largest size.
_SMALL = 128 << 20


class Admission:
    """Decides which commands of a run may start for their memory.

    ``bound``: how many may run at once, while they are not asked for one by one. ``one_by_one``: whether they are.
    ``told_above``: the exits of commands are told to ``took`` whose peak is above it, as getrusage counts it.
    """

    def __init__(self, machine: Machine, sizes: Sizes, count: int, total: int | None = None) -> None:
        """``sizes``: what is known. ``count``: how many commands the run has. ``total``: most bytes for all of them."""
        self._machine = machine
        self._sizes = sizes
        self._count = count
        self._total = NO_BOUND if total is None else total
        self._ledger = Ledger(0)
        self._waiting = Waiting(self._ledger, self._need)
        # By its first command, each chain that waits.
        self._chains: dict[int, Chain] = {}
        # The largest known size, if the slots are counted by it.
        self._floor = 0
        # How many commands have exited, how many of them at the last look and when the assumed size last fell, and of
        # how many since then the size is noted already.
        self._ends = self._ends_before = self._counted = self._told = 0
        self._ticked = self._looked = time.monotonic()
        self._cost = 0.0
        self._asks_always = False
        self._timer: asyncio.TimerHandle | None = None
        # Whether a command is held up may be asked before the first one starts.
        self._running: Collection[Process] = ()
        self.bound = NO_BOUND
        self.one_by_one = False
        self.told_above = 0

    def open(self, running: Collection[Process], jobs: int, on_change: Callable[[], None]) -> bool:
        """Begin, inside the running loop. Return whether there is anything to go by.

        ``running``: the commands that run, kept up to date by others. ``jobs``: the most that may. ``on_change``:
        called when more may start, or when ``one_by_one`` has changed.
        """
        self._running = running
        self._jobs = min(jobs, self._count)
        self._on_change = on_change
        available = self._machine.available_memory()
        if available is None and self._total == NO_BOUND:
            return False
        self._read({}, 0.0, available)
        known = self._sizes.known.values()
        unknown = self._count - len(known)
        largest = max(known, default=0)
        if largest <= _SMALL:
            self._floor = largest
            if not unknown:
                self._sizes.assumed = largest
        elif not fits_in_any_case(known, unknown, self._jobs, self._ledger.room):
            self._asks_always = self.one_by_one = True
        self._own = own_peak()
        self._follow_sizes()
        self._set_timer()
        return True

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What may start

    @property
    def waiting(self) -> int:
        """Return how many commands wait here."""
        return len(self._chains)

    @property
    def takes_more(self) -> bool:
        """Return whether one more command may be handed over, to start or to wait."""
        return len(self._chains) < MOST_WAITING

    def holds_up(self) -> bool:
        """Return whether a command waits for memory at present, or would have to."""
        return bool(self._chains) or len(self._running) >= self.bound

    def holds(self, chain: Chain) -> bool:
        """Return whether the head of a chain has to wait. It is then kept until ``next`` returns it.

        To be asked while ``one_by_one`` is true.
        """
        number = chain[0][0]
        self._chains[number] = chain
        held = self._waiting.holds(number, busy=bool(self._running))
        if not held:
            del self._chains[number]
        return held

    def next(self) -> Chain | None:
        """Return a chain that need not wait any more, None if all have to."""
        number = self._waiting.next(busy=bool(self._running))
        return None if number is None else self._chains.pop(number)

    def give_back(self) -> list[Chain]:
        """Return the chains that wait, and keep them no more."""
        chains = list(self._chains.values())
        self._waiting.clear()
        self._chains.clear()
        return chains

    def _need(self, number: int) -> tuple[int, bool]:
        return self._sizes.of(number, self._chains[number][0][1])

    # What commands took

    def ended(self, count: int) -> None:
        """Note that so many commands have exited, those that ``took`` was told included."""
        self._ends += count
        if self.bound < NO_BOUND or self._told:
            self._count_small()
            self._follow_sizes()

    def took(self, process: Process, peak: int) -> int:
        """Note the peak of a command that has exited. Return it with what looks have seen, as getrusage counts it."""
        seen = self._ledger.most_of(process.number)
        self._ledger.forget(process.number)
        known = peak > self._own and is_known(peak)
        if not known:
            self._own = last_own_peak()
        if known or self.one_by_one:
            self._told += 1
            # Of a small command that no look has seen it is known only that it took no more than this process.
            size = peak * PEAK_UNIT if known else seen or min(self._own * PEAK_UNIT, ASSUMED)
            self._sizes.took(process.task, max(seen, size))
        return max(peak, seen // PEAK_UNIT)

    def was_killed(self, process: Process, peak: int) -> str:
        """Note that a command was killed for want of memory. Return what it took and what there was, for people."""
        size = peak * PEAK_UNIT
        self._sizes.was_killed(process.number, process.task, size)
        if not self.one_by_one:
            # What it needs, if it is tried again, is more than others do.
            self._asks_always = True
            asyncio.get_running_loop().call_soon(self._ask_each)
        took = size_shown(size) if peak > self._own else f"at most {size_shown(self._own * PEAK_UNIT)}"
        return f": it took {took}, there was {size_shown(max(self._ledger.steady))}"

    def _count_small(self) -> None:
        """Let the assumed size fall for the commands that have exited, but for those that ``took`` was told."""
        self._sizes.were_small(self._ends - self._counted - self._told, self._own * PEAK_UNIT)
        self._counted, self._told = self._ends, 0

    # Looks at the machine

    def _look(self) -> None:
        """Read what is available and what each command has taken."""
        began = time.monotonic()
        available = self._machine.available_memory()
        sessions = self._machine.memory_of_sessions()
        # A command that has not started yet has no session: 0 is that of what was started from outside of a container.
        taken = {process.number: sessions.get(process.pid, 0) if process.pid else 0 for process in self._running}
        self._ledger.keep(taken)
        for process in self._running:
            number, task = process.number, process.task
            expected, sure = self._sizes.of(number, task)
            self._ledger.adopt(number, expected, sure=sure)
            if taken[number] > expected:
                self._sizes.takes(task, taken[number])
        self._read(taken, began - self._looked, available)
        self._looked = began
        self._cost = time.monotonic() - began

    def _read(self, taken: Mapping[int, int], seconds: float, before: int | None = None) -> None:
        available = self._machine.available_memory()
        self._ledger.look(NO_BOUND if available is None else available, taken, self._total, seconds, before)

    def _look_again(self) -> None:
        """Look at the machine now and then, and choose how commands are asked for."""
        self._own = own_peak()
        self._count_small()
        now = time.monotonic()
        lasting = (self._ends - self._ends_before) * _LASTING < now - self._ticked
        self._ends_before, self._ticked = self._ends, now
        held = self.holds_up()
        if self._chains or (held and lasting):
            self._look()
        else:
            # Nothing waits, or trivial commands have taken next to nothing: what is available is what there is.
            self._read({}, 0.0)
            if lasting and self._ledger.room < _ENOUGH * len(self._running) * self._sizes.assumed:
                self._look()
        if not self.one_by_one:
            self.one_by_one = held and lasting
        elif not (held or lasting or self._asks_always):
            self.one_by_one = False
        self._follow_sizes()
        self._set_timer()
        if held:
            self._on_change()

    def _ask_each(self) -> None:
        if self._timer is not None and not self.one_by_one:
            self._look()
            self.one_by_one = True
            self._follow_sizes()
            self._on_change()

    def _follow_sizes(self) -> None:
        """Set what follows from the sizes, and from whether commands are asked for one by one."""
        self.told_above = -1 if self.one_by_one else self._own
        bound = slots_for(self._ledger.room, max(self._sizes.assumed, self._floor))
        self.bound = NO_BOUND if self.one_by_one or bound >= self._jobs else bound

    def _set_timer(self) -> None:
        limits = self.bound < NO_BOUND or self._chains
        seconds = max(_LOOK if limits else _LOOK_IDLY, self._cost / _MOST_LOOKING)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look_again)


def admission(graph: Graph, settings: RunSettings, recorded: Mapping[str, int]) -> Admission:
    """Return what has the commands of a run wait for memory. ``recorded``: by name, what tasks needed before.

    Raises SpecError if a task asks for more than there is in all.
    """
    machine = Machine()
    tasks = graph.tasks
    known = {}
    if recorded:
        named = ((number, recorded.get(task.name)) for number, task in enumerate(tasks))
        known = {number: with_margin(size) for number, size in named if size is not None}
    asking = ((number, tasks[number]) for number in graph.special)
    said = {number: task.memory for number, task in asking if task.memory is not None and _is_here(task, settings)}
    if said:
        _check(graph, said, machine.total_memory() if settings.memory is None else settings.memory)
        known.update(said)
    return Admission(machine, Sizes(known), len(graph), settings.memory)


def _is_here(task: Task, settings: RunSettings) -> bool:
    """Return whether a task is a command that runs on this machine."""
    on_cluster = settings.cluster is not None and task.type == "exec" and task.where != "local"
    return not on_cluster and runs_in_process(task, settings)


def _check(graph: Graph, sizes: Mapping[int, int], total: int | None) -> None:
    """Raise SpecError if tasks ask for more than the total. ``sizes``: by number."""
    whole, numbers = graph.whole or (graph, range(len(graph)))
    problems = [
        Problem(
            ("tasks", numbers[number], "memory"),
            f"{graph.tasks[number].label} needs {size_shown(size)} of memory, and there is {size_shown(total)} in all",
        )
        for number, size in sizes.items()
        if total is not None and size > total
    ]
    if problems:
        raise whole.source.error(problems)

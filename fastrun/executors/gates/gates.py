"""Limits other than slots on starting a command: the load, the memory, make's jobserver.

No gate is shut while no command runs, so no gate can bring a run to a stop. Knows when to ask again; not what a command
is, nor which tasks wait. A plain run does not import it.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from fastrun.executors.gates.jobserver import join_or_serve
from fastrun.executors.gates.readings import Machine
from fastrun.executors.guardian.guardian import Guardian
from fastrun.protocols import Events
from fastrun.settings import RunSettings

# Seconds between looks at a machine that is too busy.
_LOOK_AGAIN = 0.25

# Percent of the last ten seconds in which some process waited for memory: more than that is felt.
_MOST_PRESSURE = 10.0


class Gate(Protocol):
    """A limit on starting commands. ``name``: what a task has waited for, see ``Start.held_by``."""

    name: str

    def open(self, events: Events, on_change: Callable[[], None]) -> None:
        """Begin, inside the running loop. ``on_change``: called when ``take`` may answer otherwise than before."""
        ...

    def take(self, running: int) -> bool:
        """Return whether a command may start beside ``running`` others; always if none runs. It then starts."""
        ...

    def settle(self, running: int, lingering: int) -> None:
        """Note how many commands run, and of how many that have exited something may be left."""
        ...

    def close(self) -> None:
        """Give everything back. May be called twice."""
        ...


class Gates:
    """The gates of a run. ``environment``: variables that its commands need for them."""

    def __init__(self, gates: Sequence[Gate], environment: dict[str, str] | None = None) -> None:
        """``gates``: gates that take something come last: it is not given back if a later gate is shut."""
        self._gates = gates
        self.environment = environment or {}
        # The name of the gate that was shut last and has not called since.
        self._shut: str | None = None

    def open(self, events: Events) -> None:
        """Begin, inside the running loop."""
        self._events = events
        for gate in self._gates:
            gate.open(events, self._changed)

    def room(self, running: int) -> int:
        """Return how many commands may be tried to start: 1, as only its start tells whether another may."""
        return 0 if self._shut and running else 1

    def take(self, running: int) -> str | None:
        """Return the name of the gate that is shut for one more command beside ``running``; None if it may start."""
        for gate in self._gates:
            if not gate.take(running):
                self._shut = gate.name
                return gate.name
        self._shut = None
        return None

    def holds_up(self) -> str | None:
        """Return the name of the gate for which tasks wait at present, None for no gate."""
        return self._shut

    def settle(self, running: int, lingering: int) -> None:
        """Have all gates note what runs."""
        for gate in self._gates:
            gate.settle(running, lingering)

    def close(self) -> None:
        """Give everything back. May be called twice."""
        for gate in self._gates:
            gate.close()

    def _changed(self) -> None:
        self._shut = None
        self._events.slots_changed()


class Watched:
    """A gate that is shut while the machine is too busy. Looks at each start, and now and then while it is shut."""

    def __init__(self, name: str, is_busy: Callable[[], bool | None], unknown: str) -> None:
        """``is_busy``: None if the system does not tell. ``unknown``: the warning for that, given once."""
        self.name = name
        self._is_busy = is_busy
        self._unknown = unknown
        self._known = True
        self._timer: asyncio.TimerHandle | None = None

    def open(self, events: Events, on_change: Callable[[], None]) -> None:
        """Begin, with a first look."""
        self._on_change = on_change
        self._known = self._is_busy() is not None
        if not self._known:
            events.warning(self._unknown)

    def take(self, running: int) -> bool:
        """Look at the machine, unless that was just done."""
        if not (running and self._known):
            return True
        if self._timer is None and self._is_busy():
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._look_again)
        return self._timer is None

    def settle(self, running: int, lingering: int) -> None:
        """Do nothing: nothing is taken."""

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_again(self) -> None:
        self._timer = None
        self._on_change()


def load_gate(most: float, machine: Machine) -> Watched:
    """Return a gate that is shut while the load is above ``most``."""

    def is_busy() -> bool | None:
        load = machine.load()
        return None if load is None else load > most

    return Watched("load", is_busy, "the load of this machine cannot be read, so it limits nothing")


def memory_gate(least: int, machine: Machine) -> Watched:
    """Return a gate that is shut while fewer than ``least`` bytes are available, or processes wait for memory a lot."""

    def is_busy() -> bool | None:
        available = machine.available_memory()
        return None if available is None else available < least or (machine.memory_pressure() or 0.0) > _MOST_PRESSURE

    return Watched("memory", is_busy, "the memory of this machine cannot be read, so it limits nothing")


def make_gates(guardian: Guardian, settings: RunSettings, warn: Callable[[str], None]) -> Gates:
    """Return the gates that the settings ask for. ``guardian``: gives tokens back in an emergency.

    Raises ValueError if a jobserver is wanted that cannot be made.
    """
    gates: list[Gate] = []
    if settings.load is not None:
        gates.append(load_gate(settings.load, Machine()))
    if settings.min_memory is not None:
        gates.append(memory_gate(settings.min_memory, Machine()))
    slots = join_or_serve(os.environ.get("MAKEFLAGS", ""), guardian, settings.jobs, settings.jobserver, warn)
    if slots is None:
        return Gates(gates)
    return Gates([*gates, slots], slots.environment)

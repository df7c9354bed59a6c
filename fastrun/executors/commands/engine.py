"""Engines start, watch and reap commands; this is what all of them promise.

An engine knows processes and pipes. It does not know what a command is for, nor what follows from its end: it tells
that in events, each a tuple ``(kind, process, what, more)``. Of one command they come in this order:

=================  =========================================  ======================================================
kind               what                                       more
=================  =========================================  ======================================================
STARTED            process id                                 the time at which its start began, of time.monotonic
STDOUT, STDERR     bytes, also after EXITED
EXITED             exit code as ``subprocess`` has it, LOST   LINGERS and OPEN; INTERRUPTED; errno of a failed read;
                                                              processor seconds; peak memory as ``getrusage`` counts it;
                                                              the time at which the exit was seen
CLOSED             whether it has been let go of              its output has come to its end after its exit
REFUSED            errno: it could not be started; or an      the step that failed; how many commands run or start
                   exception that is no such error
RETURNED                                                      it has not started, and will not
=================  =========================================  ======================================================

REFUSED and RETURNED come instead of all others. BROKEN, without a process, says that it can only look now and then.
The first events of chains come in the order in which the chains were submitted, unless a start takes a second.

A command lingers if its output is open at its exit, or if it was interrupted: it is not reaped until it is let go of,
so that the number of its group stays its own.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fastrun.executors.commands.process import Process

if TYPE_CHECKING:
    from signal import Signals

    from fastrun.executors.commands.surroundings import Surroundings
    from fastrun.executors.guardian.table import Table
    from fastrun.protocols import Events

STARTED, EXITED, CLOSED, REFUSED, RETURNED, BROKEN = 0, 3, 4, 5, 6, 7

# Flags of a command: both streams share one pipe; it is in the guardian's table.
MERGED, LISTED = 1, 2

# In ``more`` of EXITED.
LINGERS, INTERRUPTED, OPEN = 1, 2, 4

# An exit code that no process has: another waiter has taken it.
LOST = -65

# The steps of a start.
STEP_RESOURCE, STEP_DIRECTORY, STEP_PROGRAM = range(3)

# The process is None for BROKEN.
Event = tuple[int, Any, Any, Any]


class Starts(Protocol):
    """What starts commands. Each method of an engine is called in the thread of the loop."""

    def room(self, limit: int, held: int) -> int:
        """Return how many commands it takes, those that it holds included. ``limit``: how many may run."""
        ...

    def submit(self, chain: Sequence[Process], seconds: float) -> None:
        """Start a chain of commands, each once that before it has exited with 0.

        ``seconds``: for so long it goes on though others may wait for its slot.
        """
        ...

    def go_on(self, limit: int, failures: int) -> None:
        """Let ``limit`` commands run, also after a REFUSED.

        ``failures``: how many exits that are no success were acted on. With ``fail_fast`` others start once all were.
        """
        ...

    def take_back(self) -> None:
        """Return all commands that have not started."""
        ...

    def suspend(self, *, resume: bool) -> None:
        """Start nothing until it is resumed; return when no start is under way."""
        ...


class Started(Protocol):
    """The commands that have started, until they are let go of."""

    def signal(self, process: Process | None, number: "Signals", *, interrupts: bool = False) -> None:
        """Send a signal to the group of a command that runs or lingers, None for all.

        ``interrupts``: it is asked to end by that; if all are, none starts any more.
        """
        ...

    def release(self, process: Process) -> bool:
        """Let go of a command that lingers, after reading what is in its pipes. Return whether these were open."""
        ...

    def look(self) -> None:
        """Tell at once what has happened."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Engine(Starts, Started, Protocol):
    """Starts, watches and reaps commands."""


class Owner(Protocol):
    """What an engine tells of its commands. Called in the thread of the loop."""

    def take(self, events: list[Event]) -> int:
        """Act on events, to which more may be added meanwhile. Return how many commands have exited."""
        ...


class EngineSettings(NamedTuple):
    """What an engine is made for.

    ``jobs``: how many commands may run. ``fail_fast``: a failure keeps all others from starting until it was acted
    on. ``at_once``: what is submitted may start at once, so nothing is to lie ahead. ``one_pipe``: both streams of a
    command share one pipe.
    """

    owner: Owner
    events: "Events"
    surroundings: "Surroundings"
    table: "Table"
    jobs: int
    fail_fast: bool
    at_once: bool
    one_pipe: bool


def refusal(process: Process, number: int, step: int, directory: str) -> OSError:
    """Return what a REFUSED means. ``directory``: of the run."""
    recipe = process.recipe
    error = OSError(number, os.strerror(number))
    if step == STEP_PROGRAM:
        error.filename = recipe.program
    elif step == STEP_DIRECTORY:
        error.filename = os.path.join(os.fsencode(directory), recipe.directory or b"")
    return error

"""The executor of commands, each in a session of its own.

Decides how many commands may run and which of them wait. An engine starts, watches and reaps them; what follows from
their exits, and how they are made to end, is decided elsewhere. Knows neither dependencies nor the readers of output.

Does not use the subprocess classes of asyncio or uvloop: they cost two to seven times as much per command, and those of
uvloop more with every megabyte of the parent.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from fastrun.executors.commands.choice import open_engine, wanted_engine
from fastrun.executors.commands.ending import Ending
from fastrun.executors.commands.engine import (
    BROKEN,
    CLOSED,
    EXITED,
    INTERRUPTED,
    LINGERS,
    OPEN,
    REFUSED,
    RETURNED,
    STARTED,
    EngineSettings,
    Event,
    refusal,
)
from fastrun.executors.commands.exits import Exits, cannot_start, usage
from fastrun.executors.commands.lingering import Lingering
from fastrun.executors.commands.process import Process, Recipe
from fastrun.executors.commands.surroundings import Surroundings
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.limits import granted_processes
from fastrun.executors.shortage import SHORTAGES, Slots
from fastrun.outcome import OK, Cause, Outcome, Start, Status
from fastrun.protocols import CHAIN_SECONDS, Chain, Events
from fastrun.settings import DEFAULTS, RunSettings
from fastrun.text import printable

if TYPE_CHECKING:
    # Loaded where there are any.
    from fastrun.executors.gates.admission import Admission
    from fastrun.executors.gates.gates import Gates

# Descriptors that a command takes: two pipes and a pidfd.
_DESCRIPTORS_EACH = 3


class ProcessExecutor:
    """Runs commands, and snippets in processes of their own; standard input from ``/dev/null``."""

    longest_chain = 64

    def __init__(
        self,
        guardian: Guardian,
        settings: RunSettings = DEFAULTS,
        *,
        measured: bool = False,
        one_pipe: bool = False,
        engine: str | None = None,
        gates: "Gates | None" = None,
        memory: "Admission | None" = None,
    ) -> None:
        """``guardian``: ends what is left if this process dies.

        ``measured``: tell what each command used, unless it leaves a process behind. ``one_pipe``: both streams of a
        command share one pipe, and are told as its STDOUT in the order in which it writes them. ``engine``: see
        ``open_engine``; None for the one that the environment wants, or the fastest. ``gates``: further limits on
        starting a command, closed at the end. ``memory``: decides which commands wait for it. Raises ValueError for an
        engine that there is not.
        """
        self._guardian = guardian
        granted = granted_processes(_DESCRIPTORS_EACH)
        self._slots = Slots(min(settings.jobs or granted, granted))
        self._grace = settings.grace
        self._fail_fast = settings.keep_going > 0
        self._measured = measured
        self._one_pipe = one_pipe
        self._kind = wanted_engine() if engine is None else engine
        self._gates = gates
        # Read when the first command starts: many runs have none.
        self._unread = memory
        self._memory: Admission | None = None
        # What ready tasks have last waited for.
        self._held_by = "slot"
        # How many exits that are no success were acted on.
        self._failures = 0
        # The commands that the engine has: they run or are about to.
        self._running: set[Process] = set()

    @property
    def slots(self) -> int:
        """Return how many commands may run at present, or a few more than run already."""
        if self._unread is not None:
            return 1
        held = len(self._running)
        waiting = 0 if self._memory is None else self._memory.waiting
        if self._one_by_one:
            return waiting + min(self._slots.number, held + self._room(held))
        return waiting + self._engine.room(self._limit, held)

    @property
    def _limit(self) -> int:
        """Return how many commands may run."""
        return self._slots.number if self._memory is None else min(self._slots.number, self._memory.bound)

    @property
    def _one_by_one(self) -> bool:
        """Return whether each command has to be asked for before it starts."""
        return self._gates is not None or (self._memory is not None and self._memory.one_by_one)

    def _room(self, running: int) -> int:
        """Return how many commands may be tried to start beside ``running``, one by one."""
        if self._memory is not None and not self._memory.takes_more:
            return 0
        return 1 if self._gates is None else self._gates.room(running)

    def open(self, events: Events) -> None:
        """Begin to wait for processes and their output."""
        self._events = events
        if self._gates is not None:
            self._gates.open(events)
        more = None if self._gates is None else self._gates.environment
        self._surroundings = Surroundings(self._guardian.run_id, more)
        for name in self._surroundings.left_out:
            events.warning(f"commands do not get {printable(os.fsdecode(name))}: no variable can be so long")
        self._exits = Exits()
        settings = EngineSettings(
            self,
            events,
            self._surroundings,
            self._guardian.table,
            jobs=self._slots.number,
            fail_fast=self._fail_fast,
            at_once=self._gates is not None,
            one_pipe=self._one_pipe,
        )
        self._engine = open_engine(self._kind, settings)
        self._lingering = Lingering(self._guardian.run_id, events, self._engine, self._settle)
        self._ending = Ending(self._guardian, events, self._engine, self._lingering, self._running, self._grace)
        if self._memory is not None and not self._memory.open(self._running, self._slots.number, self._memory_changed):
            self._memory = None

    async def start(self, chains: Sequence[Chain]) -> None:
        """Run commands; failed unless their shells exit with 0."""
        # Before the commands, for half a millisecond once: if this process is killed, the guardian ends them.
        self._guardian.begin(self._events)
        slots = self.slots
        if self._unread is not None:
            if self._unread.open(self._running, self._slots.number, self._memory_changed):
                self._memory = self._unread
            self._unread = None
        self._engine.go_on(self._limit, self._failures)
        memory = None if self._ending.interrupted else self._memory
        for chain in chains:
            if memory is None or not memory.one_by_one or not memory.holds(chain):
                self._submit(chain, self._held_by)
        if self.slots > slots:
            # Before these were started it did not say all that may run.
            self._events.slots_changed()

    def _submit(self, chain: Chain, held_by: str) -> None:
        """Hand a chain to the engine, or tell why its first command was not started. ``held_by``: see ``Start``."""
        head = chain[0]
        if self._ending.interrupted or (self._gates is not None and not self._may_start(self._gates)):
            self._events.task_ended(head[0], None)
            return
        processes: list[Process] = []
        try:
            for job in chain[:1] if self._one_by_one else chain:
                process = self._surroundings.process(job)
                if processes and process.script is not None:
                    # Its file would stay if it never started.
                    os.unlink(process.script)
                    break
                if processes and process.recipe.program != process.recipe.arguments[0]:
                    # What was found by its name may be another program once the commands before it have ended.
                    break
                processes.append(process)
        except OSError as error:
            if not processes:
                self._refused(Process(head, Recipe(b"", (), {}, None), None), error, len(self._running))
                return
        if len(processes) < len(chain):
            processes[-1].rest = chain[len(processes)][0]
        self._running.add(processes[0])
        processes[0].held_by = held_by
        limit = self._limit
        if len(self._running) >= limit:
            self._held_by = "slot" if limit == self._slots.number else "memory"
        try:
            self._engine.submit(processes, CHAIN_SECONDS)
        except BaseException:
            # The run is told, and does not wait for it.
            self._running.discard(processes[0])
            self._remove_script(processes[0])
            raise

    def _may_start(self, gates: "Gates") -> bool:
        shut = gates.take(len(self._running))
        if shut is not None:
            self._held_by = shut
        return shut is None

    def _start_waiting(self) -> None:
        """Start the commands that had to wait for memory and have to no more."""
        while self._memory is not None and self._memory.waiting and len(self._running) < self._slots.number:
            chain = self._memory.next()
            if chain is None:
                break
            self._submit(chain, "memory")

    def _memory_changed(self) -> None:
        """Go by what memory now allows. Commands that lie ahead have not been asked for."""
        if self._one_by_one:
            self._engine.take_back()
        self._start_waiting()
        self._engine.go_on(self._limit, self._failures)
        self._events.slots_changed()

    def _settle(self) -> None:
        """Tell the gates how many commands run now."""
        if self._gates is not None:
            self._gates.settle(len(self._running), len(self._lingering.processes))

    # Called by the engine

    def take(self, events: list[Event]) -> int:
        """Pass on what has happened. Return how many commands have exited."""
        starts = exits = 0
        output = self._events.task_output
        for kind, process, what, more in events:
            try:
                if kind == STARTED:
                    starts += 1
                    self._started(process, what, more)
                elif kind == EXITED:
                    exits += 1
                    self._exited(process, what, more)
                elif kind == CLOSED:
                    self._closed(process, let_go=bool(what))
                elif kind in (RETURNED, REFUSED):
                    self._not_started(kind, process, what, more)
                elif kind == BROKEN:
                    cause = os.strerror(what)
                    self._events.warning(
                        f"the kernel no longer tells of commands ({cause}): fastrun looks at each of them now and then"
                    )
                else:
                    output(process.number, kind, what)
            except Exception as error:
                # It must not cost the events behind it.
                self._not_taken(process, error)
        if exits:
            self._go_on_after(exits)
        if starts:
            self._events.slots_changed()
        return exits

    def _not_taken(self, process: Process | None, error: Exception) -> None:
        """End the task of an event that could not be acted on: without an end the run would wait for it for ever."""
        self._events.warning(f"internal error of fastrun: {error!r}")
        if process is not None:
            self._events.task_ended(process.number, Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error)))

    def _not_started(self, kind: int, process: Process, what: int | Exception, more: tuple[int, int]) -> None:
        self._running.discard(process)
        self._remove_script(process)
        if kind == RETURNED:
            self._settle()
            self._events.task_ended(process.number, None)
            return
        if isinstance(what, Exception):
            raise what
        step, running = more
        self._refused(process, refusal(process, what, step, self._surroundings.directory), running)

    def _go_on_after(self, exits: int) -> None:
        if self._memory is not None:
            self._memory.ended(exits)
            self._start_waiting()
        self._engine.go_on(self._limit, self._failures)

    def _started(self, process: Process, pid: int, at: float) -> None:
        process.pid = pid
        self._ending.started_any = True
        self._running.add(process)
        self._slots.started()
        ago = time.monotonic() - at if self._measured else 0.0
        self._events.task_started(process.number, Start(pid=pid, held_by=process.held_by, ago=ago))

    def _refused(self, process: Process, error: OSError, running: int) -> None:
        self._settle()
        outcome = cannot_start(error)
        waits = False
        if error.errno in SHORTAGES:
            # Commands behind it would be refused as well.
            self._engine.take_back()
            waits = not self._slots.refused(self._events, running, outcome.reason)
        self._events.task_ended(process.number, None if waits else outcome)
        self._engine.go_on(self._limit, self._failures)

    def _exited(self, process: Process, code: int, more: tuple[int, int, float, int, float]) -> None:
        flags, unread, cpu_seconds, peak, at = more
        # First of all: whatever follows may fail, for want of memory.
        self._running.discard(process)
        if code or unread or flags & INTERRUPTED:
            self._failures += 1
        if self._memory is not None and peak > self._memory.told_above:
            peak = self._memory.took(process, peak)
        process.exited = True
        process.open = bool(flags & OPEN)
        process.interrupted = process.interrupted or bool(flags & INTERRUPTED)
        self._slots.ended()
        self._remove_script(process)
        if flags & LINGERS:
            self._lingering.processes.add(process)
        self._settle()
        outcome = OK
        if flags or code or unread or self._measured:
            outcome = self._exits.outcome(code, flags, unread, len(self._running))
            if outcome.cause is Cause.OUT_OF_MEMORY and self._memory is not None:
                outcome = outcome._replace(detail=self._memory.was_killed(process, peak))
            if self._measured:
                used = None if flags & LINGERS else usage(cpu_seconds, peak)
                outcome = outcome._replace(usage=used, ago=time.monotonic() - at)
            if process.task.retries and outcome.status is not Status.OK:
                self._ending.may_follow[process.number] = process.task.name
        self._events.task_ended(process.number, outcome)
        if process.rest is not None and outcome.status is Status.OK:
            self._events.task_ended(process.rest, None)

    def _closed(self, process: Process, *, let_go: bool) -> None:
        process.open = False
        if let_go:
            self._lingering.processes.discard(process)
            self._settle()

    def _remove_script(self, process: Process) -> None:
        if process.script is not None:
            with suppress(OSError):
                os.unlink(process.script)
            process.script = None

    # Called by the runner

    def recall(self) -> None:
        """Let no chain go on, and give back what has not started."""
        self._engine.take_back()
        if self._memory is not None:
            for chain in self._memory.give_back():
                self._events.task_ended(chain[0][0], None)

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Send TERM and CONT to the groups, KILL with ``force``."""
        if number is not None:
            self._ending.end(number, force=force)
            return
        if not self._ending.interrupted:
            self._ending.interrupted = True
            # Processes that have exited by now have done so by themselves.
            self._engine.look()
            self.recall()
        self._ending.end_all(force=force)

    def suspend(self, *, resume: bool) -> None:
        """Send STOP or CONT to the groups: in a session of its own a group does not see the terminal's Ctrl-Z."""
        self._engine.suspend(resume=resume)
        self._engine.signal(None, signal.SIGCONT if resume else signal.SIGSTOP)

    async def close(self) -> None:
        """End the processes that commands left behind, after reading what they print until then.

        A start that failed half-way leaves commands that run or wait, which the run counts no more: they are ended too.
        """
        self.recall()
        await self._ending.end_rest()
        self._engine.close()
        self._surroundings.close()
        if self._gates is not None:
            self._gates.close()
        if self._memory is not None:
            self._memory.close()

"""The executor of ``exec`` tasks: shell commands, each in a session of its own.

Does not use the subprocess classes of asyncio or uvloop: they cost two to seven times as much per command, and those of
uvloop more with every megabyte of the parent. Knows processes and pipes; not dependencies, nor the readers of output.

What happens to a process, in order: ``_start``; ``readable`` while it prints; ``exited``, which decides the outcome and
so ends the task, and has the next command of its chain started. A process whose pipes are then still open, or that was
interrupted, may have left others of its group behind: it lingers until ``close`` has ended the group.
"""

import asyncio
import fcntl
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from fastrun.executors.commands.epoll import has_pidfd
from fastrun.executors.commands.lingering import Lingering
from fastrun.executors.commands.process import PAUSE, PIPE, Process
from fastrun.executors.commands.spawner import Spawner
from fastrun.executors.commands.watch import open_watch
from fastrun.executors.guardian.groups import signal_group
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.leftovers import end_leftovers
from fastrun.executors.guardian.table import EXEC
from fastrun.executors.limits import granted_processes
from fastrun.executors.shortage import SHORTAGES, Slots, oom_kills
from fastrun.outcome import Cause, Outcome, Start, Status, exit_outcome
from fastrun.protocols import CHAIN_SECONDS, STDERR, STDOUT, Chain, Events
from fastrun.settings import DEFAULTS, RunSettings
from fastrun.text import COLUMNS_SHOWN, printable

if TYPE_CHECKING:
    # Loaded where there are any.
    from fastrun.executors.gates.gates import Gates

# Descriptors that a command takes: two pipes and a pidfd.
_DESCRIPTORS_EACH = 3

# Bytes that a pipe can hold after it was full once: a gigabyte then takes a quarter less time. The kernel refuses it
# beyond the user's allowance, of 128 such pipes as a rule.
_LARGER_PIPE = 1 << 17

_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 0)

# Most bytes read of a pipe when its process has exited: as many as the largest pipe of an unprivileged process holds,
# and so all that was printed before the exit.
_LARGEST_PIPE = 1 << 20

# Columns of the report's line that tell why a command cannot start.
_CAUSE_COLUMNS = COLUMNS_SHOWN - len("cannot start: ")

# Most looks at groups that were killed, a second in all. Only a process that waits for a broken disk takes longer to
# die.
_LOOKS_AFTER_KILL = 200

# Most looks at processes that snippets' processes have left, half a second in all.
_LOOKS_AT_HELPERS = 100

# Most processes started before the loop looks at exits, output and signals again. Each takes 0.1 to 0.4 ms, so a Ctrl-C
# waits for 6 ms at the most.
_STARTS_PER_TURN = 16


class ProcessExecutor:
    """Runs commands with ``/bin/sh -c``, standard input from ``/dev/null``."""

    def __init__(
        self,
        guardian: Guardian,
        settings: RunSettings = DEFAULTS,
        *,
        measured: bool = False,
        portable: bool = False,
        gates: "Gates | None" = None,
    ) -> None:
        """``guardian``: ends what is left if this process dies.

        ``measured``: tell what each command used, unless it leaves a process behind. ``portable``: use no epoll, pidfd
        or posix_spawn, even if there are any. ``gates``: further limits on starting a command, closed at the end.
        """
        self._guardian = guardian
        self._table = guardian.table
        granted = granted_processes(_DESCRIPTORS_EACH)
        self._slots = Slots(min(settings.jobs or granted, granted))
        self._grace = settings.grace
        self._measured = measured
        self._portable = portable or not has_pidfd()
        self._gates = gates
        # What ready tasks have last waited for.
        self._held_by = "slot"
        self._running: set[Process] = set()
        # The names of tasks of which an attempt failed, and another may follow.
        self._may_follow: dict[int, str] = {}
        # The next commands of chains, started once all that is ready now is handled.
        self._following: list[Process] = []
        self._started_any = False
        self._interrupted = False
        self._forced = False

    @property
    def slots(self) -> int:
        """Return how many commands may run at present, or a few more than run already."""
        more = _STARTS_PER_TURN if self._gates is None else self._gates.room(len(self._running))
        return min(self._slots.number, len(self._running) + len(self._following) + more)

    def open(self, events: Events) -> None:
        """Begin to wait for processes and their output."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        if self._gates is not None:
            self._gates.open(events)
        more = None if self._gates is None else self._gates.environment
        self._spawner = Spawner(self._guardian.run_id, portable=self._portable, more=more)
        self._oom_kills = oom_kills()
        self._watch = open_watch(events, self, measured=self._measured, portable=self._portable)
        run_id = self._guardian.run_id
        self._lingering = Lingering(run_id, events, self._watch, self._table, self._drain, self._settle)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Run commands; failed unless their shells exit with 0."""
        # Before the commands, for half a millisecond once: if this process is killed, the guardian ends them.
        self._guardian.begin(self._events)
        until = self._loop.time() + CHAIN_SECONDS
        for chain in chains:
            self._start(Process(chain, 0, until))
        if self._slots.number > _STARTS_PER_TURN or self._gates is not None:
            # More commands may run than ``slots`` said before these were started.
            self._events.slots_changed()

    def _start(self, process: Process) -> None:
        """Start a command, or tell why it was not started."""
        if self._interrupted or (self._gates is not None and not self._may_start(self._gates)):
            self._events.task_ended(process.number, None)
            return
        ends: list[int] = []
        try:
            for stream in (STDOUT, STDERR):
                process.pipes[stream], end = os.pipe()
                ends.append(end)
            process.pid, process.script = self._spawner.start(process.task, *ends)
        except OSError as error:
            for descriptor in process.pipes.values():
                os.close(descriptor)
            self._refused(process, error)
            return
        finally:
            for end in ends:
                os.close(end)
        self._started_any = True
        self._running.add(process)
        task = process.task
        if not task.detach:
            process.row = self._table.add(EXEC, process.pid, task.name)
        self._slots.started()
        self._events.task_started(process.number, Start(pid=process.pid, held_by=self._held_by))
        if len(self._running) >= self._slots.number:
            self._held_by = "slot"
        self._watch.add(process)

    def _may_start(self, gates: "Gates") -> bool:
        shut = gates.take(len(self._running))
        if shut is not None:
            self._held_by = shut
        return shut is None

    def _settle(self) -> None:
        """Tell the gates how many commands run now."""
        if self._gates is not None:
            self._gates.settle(len(self._running), len(self._lingering.processes))

    def _refused(self, process: Process, error: OSError) -> None:
        self._settle()
        outcome = Outcome(Status.FAILED, Cause.CANNOT_START, printable(_cause(error), _CAUSE_COLUMNS))
        short = error.errno in SHORTAGES
        waits = short and not self._slots.refused(self._events, len(self._running), outcome.reason)
        self._events.task_ended(process.number, None if waits else outcome)

    def recall(self) -> None:
        """Let no chain go on."""
        for process in self._running:
            process.until = 0.0
        while self._following:
            self._events.task_ended(self._following.pop(0).number, None)

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Send TERM and CONT to the groups, KILL with ``force``."""
        if number is not None:
            self._interrupt_one(number, force=force)
            return
        if not self._interrupted:
            # Processes that have exited by now have done so by themselves.
            self._watch.look()
        self._interrupted = True
        self._watch.interrupted = True
        self._lingering.silent = force
        self._signal_all(force=force)

    def _interrupt_one(self, number: int, *, force: bool) -> None:
        # As above.
        self._watch.look()
        processes = {process for process in self._all() if process.number == number}
        if force:
            self._lingering.name_asked(processes)
        for process in processes:
            self._signal(process, force=force)
        if force:
            killed = {process for process in processes if process.exited}
            name = self._may_follow.pop(number, None)
            if name is None:
                self._lingering.forget_soon(killed)
            else:
                self._lingering.end_attempt(killed, name, self._all() - killed)

    def suspend(self, *, resume: bool) -> None:
        """Send STOP or CONT to the groups: in a session of its own a group does not see the terminal's Ctrl-Z."""
        for process in self._all():
            signal_group(process.pid, signal.SIGCONT if resume else signal.SIGSTOP)

    async def close(self) -> None:
        """End the processes that commands left behind, after reading what they print until then."""
        if not self._interrupted:
            await self._wait_for_helpers()
        timer = None if self._interrupted else self._end_rest()
        if self._started_any:
            known = {process.pid for process in self._all()}
            grace = 0.0 if self._forced else self._grace
            guardian = self._guardian
            await end_leftovers(guardian.run_id, known, grace, self._events.warning, guardian.named)
        await self._wait_for_groups()
        if timer is not None:
            timer.cancel()
        for process in list(self._lingering.processes):
            self._lingering.forget(process, "it could not be ended")
        self._watch.close()
        self._spawner.close()
        if self._gates is not None:
            self._gates.close()

    async def _wait_for_helpers(self) -> None:
        """Give multiprocessing's own processes a moment: they end once the snippet's has, and keep its pipes open."""
        looks_left = _LOOKS_AT_HELPERS
        while looks_left and any(process.pipes and process.task.type == "eval" for process in self._all()):
            await asyncio.sleep(PAUSE)
            self._watch.look()
            looks_left -= 1

    def _end_rest(self) -> asyncio.TimerHandle | None:
        """Name the processes that keep their output open, and tell them to end. Return the timer that kills them."""
        # Processes that have closed it by now are let go of.
        self._watch.look()
        self._lingering.name()
        if not self._lingering.processes:
            return None
        self._signal_all(force=False)
        return self._loop.call_later(self._grace, self._kill_rest)

    def _kill_rest(self) -> None:
        self._lingering.name_asked(self._lingering.processes)
        self._signal_all(force=True)

    async def _wait_for_groups(self) -> None:
        """Let go of lingering processes as their groups die. After a KILL wait no longer than dying takes."""
        looks_left = _LOOKS_AFTER_KILL
        # Commands still run only if a start failed half-way.
        while self._all() and looks_left:
            self._lingering.forget_dead()
            looks_left -= self._forced
            if self._all():
                await asyncio.sleep(PAUSE)

    def _all(self) -> set[Process]:
        return self._running | self._lingering.processes

    def _signal_all(self, *, force: bool) -> None:
        self._forced = self._forced or force
        for process in self._all():
            self._signal(process, force=force)

    def _signal(self, process: Process, *, force: bool) -> None:
        process.interrupted = True
        signal_group(process.pid, signal.SIGKILL if force else signal.SIGTERM)
        if not force:
            signal_group(process.pid, signal.SIGCONT)

    # Called by the watch

    def readable(self, process: Process, stream: int) -> None:
        """Read a pipe once."""
        self._read(process, stream)

    def hung_up(self, process: Process, stream: int) -> None:
        """Close a pipe at its end, and let go of a process that lingered only for its pipes."""
        self._watch.close_pipe(process, stream)
        if process in self._lingering.processes and not process.pipes and not process.interrupted:
            self._lingering.forget(process)

    def exited(self, process: Process) -> None:
        """Handle the exit of a process: the rest of its output, its status, and what it leaves behind."""
        process.exited = True
        if process.pipes:
            self._drain(process)
        lingers = bool(process.pipes or process.interrupted)
        if not lingers:
            # Before its number may become another process's.
            self._table.remove(process.row)
        self._watch.reap(process, keep=lingers)
        self._running.discard(process)
        self._slots.ended()
        if process.script is not None:
            with suppress(OSError):
                os.unlink(process.script)
        if lingers:
            self._lingering.processes.add(process)
        self._settle()
        outcome = self._outcome(process)
        if process.task.retries and outcome.status is not Status.OK:
            self._may_follow[process.number] = process.task.name
        self._events.task_ended(process.number, outcome)
        following = process.position + 1
        if outcome.status is Status.OK and following < len(process.chain):
            if self._loop.time() < process.until:
                self._following.append(Process(process.chain, following, process.until))
            else:
                self._events.task_ended(process.chain[following][0], None)

    def _outcome(self, process: Process) -> Outcome:
        if process.interrupted:
            return Outcome(Status.INTERRUPTED)
        outcome = exit_outcome(process.code)
        if process.usage is not None:
            outcome = outcome._replace(usage=process.usage)
        if process.unread and outcome.status is Status.OK:
            return Outcome(Status.FAILED, Cause.OUTPUT_LOST, process.unread, usage=process.usage)
        if process.code == -signal.SIGKILL and (kills := oom_kills()) > self._oom_kills:
            self._oom_kills = kills
            return outcome._replace(cause=Cause.OUT_OF_MEMORY)
        return outcome

    def turn_ended(self) -> None:
        """Go on with the chains of the commands that have exited."""
        while self._following:
            self._start(self._following.pop(0))

    def _read(self, process: Process, stream: int) -> int:
        """Read a pipe once, and close it at its end. Return the number of bytes."""
        descriptor = process.pipes[stream]
        try:
            # A buffer larger than the pipe makes each read map memory.
            data = os.read(descriptor, process.room)
        except BlockingIOError:
            return 0
        except OSError as error:
            # A snippet may have closed it.
            process.unread = error.strerror or str(error)
            self.hung_up(process, stream)
            return 0
        if data:
            if len(data) == PIPE and process.room == PIPE and _F_SETPIPE_SZ:
                with suppress(OSError):
                    fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _LARGER_PIPE)
                    process.room = _LARGER_PIPE
            self._events.task_output(process.number, stream, data)
        else:
            self.hung_up(process, stream)
        return len(data)

    def _drain(self, process: Process) -> None:
        """Read all that is in the pipes now, and no more: another process may go on writing."""
        for stream, descriptor in list(process.pipes.items()):
            # Not earlier: a read that follows an event does not block.
            with suppress(OSError):
                os.set_blocking(descriptor, False)
            left = _LARGEST_PIPE
            while left > 0 and (count := self._read(process, stream)):
                left -= count


def _cause(error: OSError) -> str:
    """Return what went wrong, with the path if there is one."""
    cause = error.strerror or str(error)
    return cause if error.filename is None else f"{cause}: {os.fsdecode(error.filename)}"

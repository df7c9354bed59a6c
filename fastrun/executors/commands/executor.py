"""exec: shell commands, each in a session of its own.

Not the subprocess classes of asyncio or uvloop: those cost two to seven times as much per command, the latter
more with every megabyte of the parent. Knows processes and pipes; not what depends on what, nor who reads the
output.

What happens to a process, in order: ``_start``; ``readable`` while it prints; ``exited``, which decides the
outcome and so ends the task, and has the next of its chain started. A process whose pipes are then still open, or
that was interrupted, may have left others of its group behind: it lingers, not yet reaped so that its group's
number stays its own, until ``close`` has ended the group.
"""

import asyncio
import fcntl
import functools
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from fastrun.executors.commands.spawner import Spawner
from fastrun.executors.commands.watch import PAUSE, PIPE, EpollWatch, LoopWatch, Process, has_pidfd
from fastrun.executors.guardian.groups import live_groups, signal_group
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.leftovers import end_leftovers, kill_leftovers
from fastrun.executors.guardian.table import EXEC
from fastrun.executors.limits import granted_processes
from fastrun.executors.shortage import SHORTAGES, Slots, oom_kills
from fastrun.outcome import Cause, Outcome, Start, Status, exit_outcome
from fastrun.protocols import CHAIN_SECONDS, STDERR, STDOUT, Chain, Events
from fastrun.text import COLUMNS_SHOWN, printable

if TYPE_CHECKING:
    # Loaded where there are any.
    from fastrun.executors.gates.gates import Gates

# Two pipes and a pidfd.
_DESCRIPTORS_EACH = 3

# Bytes that a pipe holds which was full once: a gigabyte then takes a quarter less time. Refused beyond the user's
# allowance, of 128 such pipes as a rule.
_LARGER_PIPE = 1 << 17

_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 0)

# Bytes read of one pipe when its process has exited: more than was in it, even at the largest size that an
# unprivileged process can give a pipe, so all that was printed before the exit.
_LARGEST_PIPE = 1 << 20

# Columns of the report's line that tell why a command cannot start.
_CAUSE_COLUMNS = COLUMNS_SHOWN - len("cannot start: ")

# Looks at what was killed, a second in all: only what waits for a broken disk takes longer to die.
_LOOKS_AFTER_KILL = 200

# Processes started before the loop looks at exits, output and signals again. Each takes 0.1 to 0.4 ms, so a Ctrl-C
# waits for 6 ms at the most.
_STARTS_PER_TURN = 16


class ProcessExecutor:
    """Runs commands with ``/bin/sh -c``, standard input from ``/dev/null``."""

    def __init__(
        self,
        guardian: Guardian,
        jobs: int | None = None,
        *,
        grace: float = 5.0,
        measured: bool = False,
        portable: bool = False,
        gates: "Gates | None" = None,
    ) -> None:
        """``guardian``: who ends what is left if this process dies.

        ``jobs``: at most so many at once, None for what the system grants. ``grace``: seconds between asking what
        outlived its task to end and ending it. ``measured``: tell what each command used, but for those that leave
        somebody behind. ``portable``: use no epoll, pidfd or posix_spawn; taken anyway where they do not exist.
        ``gates``: what else must agree before a command starts, closed at the end.
        """
        self._guardian = guardian
        self._table = guardian.table
        granted = granted_processes(_DESCRIPTORS_EACH)
        self._slots = Slots(min(jobs, granted) if jobs else granted)
        self._grace = grace
        self._measured = measured
        self._portable = portable or not has_pidfd()
        self._gates = gates
        # What tasks that were ready have last waited for.
        self._held_by = "slot"
        self._running: set[Process] = set()
        self._lingering: set[Process] = set()
        # The names of tasks of which an attempt failed, and another may follow.
        self._may_follow: dict[int, str] = {}
        # The next of chains, to be started once all is handled that is ready now.
        self._following: list[Process] = []
        self._started_any = False
        self._interrupted = False
        self._forced = False

    @property
    def slots(self) -> int:
        """How many commands may run at present, or a few more than run already."""
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
        watch = LoopWatch if self._portable else EpollWatch
        self._watch: LoopWatch | EpollWatch = watch(events, self, measured=self._measured)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Run commands; failed unless their shells exit with 0."""
        # Before them, for half a millisecond once: in between nobody would end them if this process were killed.
        self._guardian.begin(self._events)
        until = self._loop.time() + CHAIN_SECONDS
        for chain in chains:
            self._start(Process(chain, 0, until))
        if self._slots.number > _STARTS_PER_TURN or self._gates is not None:
            # More may run than was said before these did.
            self._events.slots_changed()

    def _start(self, process: Process) -> None:
        """Start a command, or say why it was not."""
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
        """Tell the gates what runs now."""
        if self._gates is not None:
            self._gates.settle(len(self._running), len(self._lingering))

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
        """TERM and CONT to the groups, KILL with ``force``."""
        if number is not None:
            self._interrupt_one(number, force=force)
            return
        if not self._interrupted:
            # What has exited by now has done so by itself.
            self._watch.look()
        self._interrupted = True
        self._watch.interrupted = True
        self._signal_all(force=force)

    def _interrupt_one(self, number: int, *, force: bool) -> None:
        # As above.
        self._watch.look()
        for process in [p for p in self._running | self._lingering if p.number == number]:
            self._signal(process, force=force)
            if force and process.exited:
                # Nobody is left whose end would have to be awaited.
                self._forget(process)
        name = self._may_follow.pop(number, None) if force else None
        if name is not None:
            # With its output closed, or in a session of its own: it would run beside the next attempt.
            kill_leftovers(self._guardian.run_id, name, {p.pid for p in self._running | self._lingering})

    def suspend(self, *, resume: bool) -> None:
        """STOP or CONT to the groups: in a session of its own a group does not see the terminal's Ctrl-Z."""
        for process in self._running | self._lingering:
            signal_group(process.pid, signal.SIGCONT if resume else signal.SIGSTOP)

    async def close(self) -> None:
        """End the processes that commands left behind, after reading what they print until then."""
        timer = None if self._interrupted else self._end_rest()
        if self._started_any:
            known = {process.pid for process in self._running | self._lingering}
            grace = 0.0 if self._forced else self._grace
            await end_leftovers(self._guardian.run_id, known, grace, self._events.warning)
        await self._wait_for_groups()
        if timer is not None:
            timer.cancel()
        for process in list(self._lingering):
            self._forget(process)
        self._watch.close()
        self._spawner.close()
        if self._gates is not None:
            self._gates.close()

    def _end_rest(self) -> asyncio.TimerHandle | None:
        """Name the processes that keep their output open and tell them to end. Returns what ends them later."""
        # Some may have closed it by now, and are let go.
        self._watch.look()
        for process in [process for process in self._lingering if process.task.detach]:
            self._forget(process)
        if not self._lingering:
            return None
        live = live_groups()
        for process in self._lingering:
            if live is None or process.pid in live:
                self._warn_of_rest(process, "it is ended")
        self._signal_all(force=False)
        return self._loop.call_later(self._grace, functools.partial(self._signal_all, force=True))

    async def _wait_for_groups(self) -> None:
        """Let go of the lingering as their groups die; once they are killed, for no longer than that takes."""
        looks_left = _LOOKS_AFTER_KILL
        # Some still run only where a start failed half-way.
        while (self._lingering or self._running) and looks_left:
            live = live_groups()
            for process in list(self._lingering):
                if process.pid not in live if live is not None else not process.pipes:
                    self._forget(process)
            looks_left -= self._forced
            if self._lingering or self._running:
                await asyncio.sleep(PAUSE)

    def _signal_all(self, *, force: bool) -> None:
        self._forced = self._forced or force
        for process in self._running | self._lingering:
            self._signal(process, force=force)

    def _signal(self, process: Process, *, force: bool) -> None:
        process.interrupted = True
        signal_group(process.pid, signal.SIGKILL if force else signal.SIGTERM)
        if not force:
            signal_group(process.pid, signal.SIGCONT)

    def _warn_of_rest(self, process: Process, fate: str) -> None:
        self._events.warning(f"{process.task.label}: left a process behind that keeps its output open; {fate}")

    # Called by the watch

    def readable(self, process: Process, stream: int) -> None:
        """Read once."""
        self._read(process, stream)

    def hung_up(self, process: Process, stream: int) -> None:
        """Close a pipe at its end, and let go of a process that only its open pipes kept."""
        self._watch.close_pipe(process, stream)
        if process in self._lingering and not process.pipes and not process.interrupted:
            self._forget(process)

    def exited(self, process: Process) -> None:
        """Handle the exit of a process: the rest of its output, its status, and what it leaves behind."""
        process.exited = True
        if process.pipes:
            self._drain(process)
        lingers = bool(process.pipes or process.interrupted)
        if not lingers:
            # Before its number may become somebody else's.
            self._table.remove(process.row)
        self._watch.reap(process, keep=lingers)
        self._running.discard(process)
        self._slots.ended()
        if process.script is not None:
            with suppress(OSError):
                os.unlink(process.script)
        if lingers:
            self._lingering.add(process)
        self._settle()
        outcome = self._outcome(process)
        task = process.task
        # A name that is shown in another way may be shown as some other task's is.
        if task.retries and outcome.status is not Status.OK and task.label == task.name:
            self._may_follow[process.number] = task.name
        self._events.task_ended(process.number, outcome)
        following = process.place + 1
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
        """Go on with the chains of what has exited."""
        while self._following:
            self._start(self._following.pop(0))

    def _read(self, process: Process, stream: int) -> int:
        """Read once. Returns the number of bytes; closes the pipe at its end."""
        descriptor = process.pipes[stream]
        try:
            # Room for more than there can be costs a mapping of memory each time.
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
        """Read all that is in the pipes now, and no more: somebody may go on writing."""
        for stream, descriptor in list(process.pipes.items()):
            # Not before: whoever is told that there is something to read does not wait for it.
            with suppress(OSError):
                os.set_blocking(descriptor, False)
            left = _LARGEST_PIPE
            while left > 0 and (count := self._read(process, stream)):
                left -= count

    def _forget(self, process: Process) -> None:
        """Let go of a lingering process after reading what is in its pipes."""
        # First, so that the end of its last pipe does not lead back here.
        self._lingering.discard(process)
        self._drain(process)
        if process.pipes and not self._forced and not process.task.detach:
            self._warn_of_rest(process, "it left its session and lives on")
        self._table.remove(process.row)
        if not process.reaped:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, 0)
        for stream in list(process.pipes):
            self._watch.close_pipe(process, stream)
        self._settle()


def _cause(error: OSError) -> str:
    """What went wrong, with the path where it is about one."""
    cause = error.strerror or str(error)
    return cause if error.filename is None else f"{cause}: {os.fsdecode(error.filename)}"

"""The engine in Python, for systems without the native one.

Starts at once what is submitted, in the thread of the loop. What happens to a process, in order: ``_start``;
``readable`` while it prints; ``exited``, after which the next command of its chain starts.
"""

import asyncio
import errno
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from fastrun.executors.commands.child import PIPE, Child
from fastrun.executors.commands.copies import ENGINES
from fastrun.executors.commands.engine import (
    BROKEN,
    CLOSED,
    EXITED,
    INTERRUPTED,
    LINGERS,
    LOST,
    OPEN,
    REFUSED,
    RETURNED,
    STARTED,
    STEP_DIRECTORY,
    STEP_PROGRAM,
    STEP_RESOURCE,
    EngineSettings,
    Event,
)
from fastrun.executors.commands.epoll import EpollWatch, has_pidfd
from fastrun.executors.commands.poll import PollWatch
from fastrun.executors.commands.process import Process
from fastrun.executors.commands.spawner import Spawner
from fastrun.executors.guardian.groups import signal_group
from fastrun.executors.guardian.table import EXEC
from fastrun.protocols import STDERR, STDOUT

# Bytes that a pipe can hold after it was full once: a gigabyte then takes a quarter less time. The kernel refuses it
# beyond the user's allowance, of 128 such pipes as a rule.
_LARGER_PIPE = 1 << 17

_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 0)

# Most bytes read of a pipe when its process has exited: as many as the largest pipe of an unprivileged process holds,
# and so all that was printed before the exit.
_LARGEST_PIPE = 1 << 20

# Most processes started before the loop looks at exits, output and signals again. Each takes 0.1 to 0.4 ms, so a Ctrl-C
# waits for 6 ms at the most.
_STARTS_PER_TURN = 16

# Most seconds for which a fork waits for a start, which takes a millisecond unless a disk does not answer.
_LONGEST_START = 1.0


class PythonEngine:
    """Starts commands with posix_spawn and watches them with one epoll, or with what every system has."""

    def __init__(self, settings: EngineSettings, *, portable: bool) -> None:
        """``portable``: use neither epoll, pidfd nor posix_spawn."""
        self._streams = (STDOUT,) if settings.one_pipe else (STDOUT, STDERR)
        self._owner = settings.owner
        self._table = settings.table
        self._loop = asyncio.get_running_loop()
        portable = portable or not has_pidfd()
        self._spawner = Spawner(settings.surroundings, portable=portable)
        make_watch: Callable[..., EpollWatch | PollWatch] = PollWatch if portable else EpollWatch
        self._watch = make_watch(settings.events, self)
        self._children: dict[Process, Child] = {}
        # The next commands of chains, started once all that is ready now is handled.
        self._following: list[tuple[list[Process], float]] = []
        self._limit = 0
        self._interrupted = False
        self._told: list[Event] = []
        self._passing = False
        # Held while a command's pipes are open for writing. A signal's handler may fork in the thread that has it.
        self._starting = threading.RLock()
        ENGINES.add(self)

    def room(self, limit: int, held: int) -> int:
        """Return how many commands it takes: a few more than it has, as each takes the loop's time."""
        return min(limit, held + _STARTS_PER_TURN)

    def submit(self, chain: Sequence[Process], seconds: float) -> None:
        """Start the first command of a chain."""
        self._start(list(chain), self._loop.time() + seconds)
        self._pass_on()

    def go_on(self, limit: int, failures: int) -> None:  # noqa: ARG002  # each was acted on when it was told
        """Note how many may run."""
        self._limit = limit

    def take_back(self) -> None:
        """Let no chain go on."""
        for child in self._children.values():
            child.until = 0.0
        while self._following:
            self._tell(RETURNED, self._following.pop(0)[0][0])
        self._pass_on()

    def signal(self, process: Process | None, number: signal.Signals, *, interrupts: bool = False) -> None:
        """Signal a group: its number is its own until its leader is reaped.

        After an interruption of all the watch tells of exits even while observers are behind.
        """
        if interrupts and process is None:
            self._interrupted = self._watch.interrupted = True
        for each in list(self._children) if process is None else (process,):
            child = self._children.get(each)
            if child is not None:
                each.interrupted = each.interrupted or interrupts
                signal_group(child.pid, number)

    def suspend(self, *, resume: bool) -> None:
        """Do nothing: nothing starts while the loop's thread is elsewhere."""

    def hold_for_fork(self, *, resume: bool) -> None:
        """Wait for the start under way."""
        if not resume:
            self._starting.acquire(timeout=_LONGEST_START)
            return
        # It was not acquired if the start takes long.
        with suppress(RuntimeError):
            self._starting.release()

    def release(self, process: Process) -> bool:
        """Let go of a command."""
        child = self._children.pop(process, None)
        if child is None:
            return False
        self._drain(child)
        was_open = bool(child.pipes)
        self._table.remove(child.row)
        with suppress(ChildProcessError):
            os.waitpid(child.pid, os.WNOHANG)
        for stream in list(child.pipes):
            self._watch.close_pipe(child, stream)
        self._pass_on()
        return was_open

    def look(self) -> None:
        """Handle what is ready now."""
        self._watch.look()
        for child in [child for child in self._children.values() if child.exited]:
            self._drain(child)
        self._pass_on()

    def close(self) -> None:
        """Let go of everything."""
        ENGINES.discard(self)
        self._watch.close()
        self._pass_on()

    def _start(self, chain: list[Process], until: float) -> None:
        """Start a command, or tell why it was not started."""
        process = chain.pop(0)
        if self._interrupted:
            self._tell(RETURNED, process)
            return
        began = time.monotonic()
        child = Child(process, chain, until)
        try:
            with self._starting:
                self._start_child(child)
        except Exception as error:
            for descriptor in child.pipes.values():
                os.close(descriptor)
            self._tell(REFUSED, process, *_refused(process, error, len(self._children)))
            return
        if not process.task.detach:
            child.row = self._table.add(EXEC, child.pid, process.task.name)
        self._children[process] = child
        self._tell(STARTED, process, child.pid, began)
        self._watch.add(child)

    def _start_child(self, child: Child) -> None:
        """Make the pipes of a command and start its process. Raises OSError."""
        ends: list[int] = []
        try:
            for stream in self._streams:
                child.pipes[stream], end = os.pipe()
                ends.append(end)
            child.pid = self._spawner.start(child.process.recipe, ends[0], ends[-1])
        finally:
            for end in ends:
                os.close(end)

    def _tell(self, kind: int, process: Process, what: object = None, more: object = None) -> None:
        self._told.append((kind, process, what, more))

    def _pass_on(self) -> None:
        """Pass on what has happened. What happens meanwhile comes behind it."""
        if self._told and not self._passing:
            self._passing = True
            told, self._told = self._told, []
            try:
                while told:
                    self._owner.take(told)
                    told, self._told = self._told, []
            finally:
                self._passing = False

    # Called by the watch

    def readable(self, child: Child, stream: int) -> None:
        """Read a pipe once."""
        self._read(child, stream)

    def hung_up(self, child: Child, stream: int) -> None:
        """Close a pipe at its end, and let go of a process that lingered only for its pipes."""
        self._watch.close_pipe(child, stream)
        if child.exited and not child.pipes and child.process in self._children:
            goes = not child.process.interrupted
            self._tell(CLOSED, child.process, goes)
            if goes:
                del self._children[child.process]
                self._table.remove(child.row)
                with suppress(ChildProcessError):
                    os.waitpid(child.pid, 0)

    def exited(self, child: Child) -> None:
        """Handle the exit of a process: the rest of its output, its status, and what it leaves behind."""
        process = child.process
        if child.pipes:
            self._drain(child)
        child.exited = True
        lingers = bool(child.pipes or process.interrupted)
        if not lingers:
            del self._children[process]
            # Before its number may become another process's.
            self._table.remove(child.row)
        self._watch.reap(child, keep=lingers)
        flags = lingers * LINGERS | process.interrupted * INTERRUPTED | bool(child.pipes) * OPEN
        code = LOST if child.code is None else child.code
        self._tell(EXITED, process, code, (flags, child.unread, *child.used, time.monotonic()))
        if child.behind and not (code or child.unread or process.interrupted):
            # While another slot is free too nothing waits for this one.
            if self._loop.time() < child.until or (child.until and len(self._children) + 1 < self._limit):
                self._following.append((child.behind, child.until))
            else:
                self._tell(RETURNED, child.behind[0])

    def turn_ended(self) -> None:
        """Pass on what has happened, and go on with the chains of the commands that have exited."""
        self._pass_on()
        while self._following:
            self._start(*self._following.pop(0))
        self._pass_on()

    def broken(self, error: Exception) -> None:
        """Pass it on."""
        if isinstance(error, OSError) and error.errno:
            self._told.append((BROKEN, None, error.errno, None))

    def _read(self, child: Child, stream: int) -> int:
        """Read a pipe once, and close it at its end. Return the number of bytes."""
        descriptor = child.pipes[stream]
        try:
            # A buffer larger than the pipe makes each read map memory.
            data = os.read(descriptor, child.room)
        except BlockingIOError:
            return 0
        except OSError as error:
            # A snippet may have closed it.
            child.unread = error.errno or 0
            self.hung_up(child, stream)
            return 0
        if data:
            if len(data) == PIPE and child.room == PIPE and _F_SETPIPE_SZ:
                with suppress(OSError):
                    fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _LARGER_PIPE)
                    child.room = _LARGER_PIPE
            self._tell(stream, child.process, data)
        else:
            self.hung_up(child, stream)
        return len(data)

    def _drain(self, child: Child) -> None:
        """Read all that is in the pipes now, and no more: another process may go on writing."""
        for stream, descriptor in list(child.pipes.items()):
            # Not earlier: a read that follows an event does not block.
            with suppress(OSError):
                os.set_blocking(descriptor, False)
            left = _LARGEST_PIPE
            while left > 0 and stream in child.pipes and (count := self._read(child, stream)):
                left -= count


def _refused(process: Process, error: Exception, running: int) -> tuple[object, tuple[int, int]]:
    """Return what an error says of a start, as REFUSED has it."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM, (STEP_RESOURCE, running)
    if not isinstance(error, OSError):
        return error, (STEP_RESOURCE, running)
    step = STEP_RESOURCE
    if error.filename is not None:
        step = STEP_PROGRAM if os.fsencode(error.filename) == process.recipe.program else STEP_DIRECTORY
    return error.errno, (step, running)

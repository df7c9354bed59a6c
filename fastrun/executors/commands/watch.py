"""Waiting for processes and their output.

Two ways, the same to who uses them: one epoll that holds the pipes and a pidfd of every process and is itself a
single reader of the loop; where there is none, the loop's readers and a thread that waits for each process.
Knows descriptors and exit statuses; not what a command is for, nor what follows from its end.

While somebody is behind with the output no pipe is read, and no exit is looked at either: what starts next would
print as well.
"""

import asyncio
import os
import resource
import select
import sys
import threading
from contextlib import suppress
from typing import Protocol

from fastrun.executors.guardian.table import NO_ROW
from fastrun.outcome import Usage
from fastrun.protocols import Chain, Events

# Seconds between looks at somebody who is behind, and at what cannot be watched.
PAUSE = 0.005

# The output of a process is watched from its second tick on, in seconds. Trivial commands have exited by then, and
# what they printed is read at their exit, without a wake-up for the end of each pipe.
_TICK = 0.002

# Bytes that a pipe holds, and so the most that a read of it gives.
PIPE = 1 << 16

# Bytes in which getrusage counts memory.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024

# In the place of a stream: the process itself.
_EXIT = 0


class Process:
    """A running command, the task at ``place`` in a chain that goes on until the time ``until``.

    ``pipes``: the reading ends that are open, by stream. ``code``: its exit code as ``subprocess`` has it, None before
    its end or if it is lost. ``row``: where the guardian finds it. ``exited``: whether its end has been told.
    ``room``: bytes that its pipes hold.
    ``reaped``: whether its number may be somebody else's by now. ``unread``: why its output is not whole, if so.
    ``usage``: of what has been measured and reaped.
    """

    __slots__ = (
        "chain",
        "code",
        "exited",
        "interrupted",
        "number",
        "pid",
        "pidfd",
        "pipes",
        "place",
        "reaped",
        "room",
        "row",
        "script",
        "task",
        "unread",
        "until",
        "usage",
        "waiter",
    )

    def __init__(self, chain: Chain, place: int, until: float) -> None:
        self.chain = chain
        self.place = place
        self.until = until
        self.number, self.task = chain[place]
        self.pid = 0
        self.pidfd = -1
        self.pipes: dict[int, int] = {}
        self.code: int | None = None
        self.exited = False
        self.interrupted = False
        self.reaped = False
        self.room = PIPE
        self.row = NO_ROW
        self.script: str | None = None
        self.unread = ""
        self.usage: Usage | None = None
        self.waiter: threading.Thread | None = None


class Owner(Protocol):
    """Who is told of the processes that are watched. In the thread of the loop."""

    def readable(self, process: Process, stream: int) -> None:
        """There is something to read, or the end."""
        ...

    def hung_up(self, process: Process, stream: int) -> None:
        """A pipe is closed and empty."""
        ...

    def exited(self, process: Process) -> None:
        """It is time to read the rest and to ``reap``."""
        ...

    def turn_ended(self) -> None:
        """All that was ready has been told."""
        ...


class EpollWatch:
    """One epoll for all processes. Linux 5.4 and later, unless a sandbox forbids pidfds."""

    def __init__(self, events: Events, owner: Owner, *, measured: bool) -> None:
        """Begin, inside the running loop. ``measured``: set the ``usage`` of processes."""
        self._events = events
        self._owner = owner
        self._measured = measured
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[Process, int]] = {}
        # Those whose exit alone is watched so far: started before the last tick, and since.
        self._waiting: list[Process] = []
        self._new: list[Process] = []
        self._ticking = False
        self._pausing = False
        self._closed = False
        # Whether the epoll has failed: nothing more comes from it.
        self._broken = False
        # Set once all is to end: who does so is not kept by a reader who does not read.
        self.interrupted = False
        self._loop.add_reader(self._epoll.fileno(), self._handle_ready)

    def add(self, process: Process) -> None:
        """Watch a process that was just started."""
        if self._broken:
            self._poll(process)
            return
        try:
            # Two descriptors were closed just now: there is room for this one, as a rule.
            process.pidfd = os.pidfd_open(process.pid)
            self._epoll.register(process.pidfd, select.EPOLLIN)
        except OSError:
            self._poll(process)
            return
        self._watched[process.pidfd] = (process, _EXIT)
        self._new.append(process)
        self._tick_later()

    def close_pipe(self, process: Process, stream: int) -> None:
        """Close a pipe."""
        descriptor = process.pipes.pop(stream)
        self._forget(descriptor)
        with suppress(OSError):
            os.close(descriptor)

    def reap(self, process: Process, *, keep: bool) -> None:
        """Set the exit code of a process that has exited. ``keep``: keep its number for it."""
        if process.pidfd >= 0:
            _wait(process, os.P_PIDFD, process.pidfd, keep=keep, measured=self._measured)
            self._close_pidfd(process)

    def look(self) -> None:
        """Handle what is ready: all exits and one read of each pipe."""
        if self._closed:
            return
        self._watch_output()
        self._watch_output()
        self._handle_ready()

    def close(self) -> None:
        """End watching."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._closed = True

    def _tick(self) -> None:
        self._ticking = False
        if not self._closed:
            self._watch_output()
            self._tick_later()

    def _tick_later(self) -> None:
        if not self._ticking and (self._new or self._waiting):
            self._ticking = True
            self._loop.call_later(_TICK, self._tick)

    def _watch_output(self) -> None:
        """Watch the output of those that have lived through a whole tick."""
        old, self._waiting, self._new = self._waiting, self._new, []
        for process in old:
            try:
                for stream, descriptor in process.pipes.items():
                    self._epoll.register(descriptor, select.EPOLLIN)
                    self._watched[descriptor] = (process, stream)
            except OSError:
                self._poll(process)

    def _poll(self, process: Process) -> None:
        """Look after a process that the kernel has no room to watch."""
        for descriptor in process.pipes.values():
            self._forget(descriptor)
        self._close_pidfd(process)
        _Poll(self._loop, self._events, self._owner, process)

    def _handle_ready(self) -> None:
        self._handle()
        if self._events.congested and not self._pausing:
            self._pausing = True
            self._loop.remove_reader(self._epoll.fileno())
            self._loop.call_later(PAUSE, self._resume)

    def _handle(self, *, exits_only: bool = False) -> None:
        owner, watched = self._owner, self._watched
        try:
            ready = self._epoll.poll(0, 256)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return
        for descriptor, state in ready:
            found = watched.get(descriptor)
            if found is None:
                # An exit earlier in this batch has closed it. Nothing is started before its end, which could
                # have got the same number.
                continue
            process, what = found
            if what == _EXIT:
                owner.exited(process)
            elif state == select.EPOLLHUP:
                owner.hung_up(process, what)
            elif not exits_only:
                owner.readable(process, what)
        owner.turn_ended()

    def _give_up(self, error: Exception) -> None:
        """Go on without the epoll, which a snippet may have closed."""
        if not self._broken:
            self._broken = True
            # The loop would tell of what nobody takes, again and again.
            self._loop.remove_reader(self._epoll.fileno())
            self._events.warning(f"cannot wait for commands any more, looks at each now and then: {error}")
            watched = {process for process, _ in self._watched.values()}
            self._new, self._waiting = [], []
            for process in watched:
                self._poll(process)

    def _resume(self) -> None:
        """Read on once the output has been taken, or when everything is to end."""
        if self._closed:
            return
        if self._events.congested:
            if self.interrupted:
                self._handle(exits_only=True)
            self._loop.call_later(PAUSE, self._resume)
            return
        self._pausing = False
        if not self._broken:
            self._loop.add_reader(self._epoll.fileno(), self._handle_ready)

    def _forget(self, descriptor: int) -> None:
        # Closing alone would not do while a snippet's fork holds a copy: its events would come for ever.
        if self._watched.pop(descriptor, None) is not None and not self._broken:
            with suppress(OSError):
                # A snippet may have closed it.
                self._epoll.unregister(descriptor)

    def _close_pidfd(self, process: Process) -> None:
        if process.pidfd >= 0:
            self._forget(process.pidfd)
            with suppress(OSError):
                os.close(process.pidfd)
            process.pidfd = -1


class LoopWatch:
    """A reader of the loop for each pipe, a thread for each process: for systems without epoll and pidfd."""

    def __init__(self, events: Events, owner: Owner, *, measured: bool) -> None:
        """Begin, inside the running loop. ``measured``: set the ``usage`` of processes."""
        self._events = events
        self._owner = owner
        self._measured = measured
        self._loop = asyncio.get_running_loop()
        self.interrupted = False

    def add(self, process: Process) -> None:
        """Watch a process that was just started."""
        thread = threading.Thread(target=self._wait, args=(process,), name="fastrun-wait", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # No thread to be had.
            _Poll(self._loop, self._events, self._owner, process)
            return
        process.waiter = thread
        for stream, descriptor in process.pipes.items():
            # A loop may tell of what another file with the same number had.
            os.set_blocking(descriptor, False)
            self._read_on(process, stream)

    def close_pipe(self, process: Process, stream: int) -> None:
        """Close a pipe."""
        descriptor = process.pipes.pop(stream)
        self._loop.remove_reader(descriptor)
        os.close(descriptor)

    def reap(self, process: Process, *, keep: bool) -> None:
        """Nothing: who waited for it knows, and could not but take its number from it."""

    def look(self) -> None:
        """Nothing: the loop looks."""

    def close(self) -> None:
        """End watching."""

    def _read(self, process: Process, stream: int) -> None:
        if self._events.congested:
            # The loop asks again at once: without a rest it would do nothing else.
            self._loop.remove_reader(process.pipes[stream])
            self._loop.call_later(PAUSE, self._read_on, process, stream)
        else:
            self._owner.readable(process, stream)

    def _read_on(self, process: Process, stream: int) -> None:
        if stream in process.pipes:
            self._loop.add_reader(process.pipes[stream], self._read, process, stream)

    def _wait(self, process: Process) -> None:
        """Wait for one process, in a thread of its own."""
        _wait(process, os.P_PID, process.pid, keep=False, measured=self._measured, flags=0)
        with suppress(RuntimeError):
            # The loop is closed if the run gave up on this process.
            self._loop.call_soon_threadsafe(self._waited, process)

    def _waited(self, process: Process) -> None:
        if process.waiter is not None:
            # It has said its last word.
            process.waiter.join()
        self._owner.exited(process)
        self._owner.turn_ended()


Watch = EpollWatch | LoopWatch


class _Poll:
    """Looks at one process again and again: the last resort, where no descriptor and no thread is to be had."""

    def __init__(self, loop: asyncio.AbstractEventLoop, events: Events, owner: Owner, process: Process) -> None:
        self._loop = loop
        self._events = events
        self._owner = owner
        self._process = process
        for descriptor in process.pipes.values():
            # One that a snippet has closed says so when it is read.
            with suppress(OSError):
                os.set_blocking(descriptor, False)
        self._later()

    def _later(self) -> None:
        self._loop.call_later(PAUSE, self._look)

    def _look(self) -> None:
        process = self._process
        if not self._events.congested:
            for stream in list(process.pipes):
                self._owner.readable(process, stream)
        if not process.exited and _wait(process, os.P_PID, process.pid, keep=False, measured=False):
            self._owner.exited(process)
            self._owner.turn_ended()
        if process.pipes or not process.exited:
            self._later()


def _wait(process: Process, kind: int, number: int, *, keep: bool, measured: bool, flags: int = os.WNOHANG) -> bool:
    """Ask for the exit of a process and set its code. Returns whether it has exited.

    ``measured``: and its usage, unless it is kept: the kernel tells both only to who reaps it.
    """
    try:
        result = os.waitid(kind, number, os.WEXITED | flags | (os.WNOWAIT if keep or measured else 0))
        if measured and not keep and result is not None:
            # By its number, which is its own until then.
            _, _, used = os.wait4(process.pid, os.WNOHANG)
            # Until it became the shell it had the memory of this process.
            known = used.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            peak = used.ru_maxrss * _MAXRSS_UNIT if known else None
            process.usage = Usage(used.ru_utime + used.ru_stime, peak)
    except ChildProcessError:
        # Somebody else has reaped it: a snippet that waits for any child, or SIGCHLD is ignored.
        process.reaped = True
        return True
    if result is None:
        return False
    process.reaped = not keep
    process.code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
    return True


def has_pidfd() -> bool:
    """Whether pidfds can be had."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True

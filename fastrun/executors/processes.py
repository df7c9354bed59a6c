"""exec: shell commands, each in a session of its own.

Not the subprocess classes of asyncio or uvloop: those cost two to seven times as much per command, the latter
more with every megabyte of the parent. Here one epoll holds the pipes and a pidfd of every process and is
itself a single reader of the loop. Knows processes and pipes; not what depends on what, nor who reads the
output.

What happens to a process, in order: ``_spawn``; ``_read`` while it prints; ``_exited``, which decides the
outcome and so ends the task, and starts the next of its chain. A process whose pipes are then still open, or
that was interrupted, may have left others of its group behind: it lingers, not yet reaped so that its group's
number stays its own, until ``close`` has ended the group.
"""

import asyncio
import functools
import os
import select
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress

from fastrun.executors.groups import live_groups, signal_group
from fastrun.executors.limits import granted_processes
from fastrun.executors.shortage import SHORTAGES, Slots
from fastrun.executors.spawner import Spawner
from fastrun.protocols import (
    CHAIN_SECONDS,
    STDERR,
    STDOUT,
    Chain,
    Events,
    Outcome,
    Status,
    exit_outcome,
)
from fastrun.spec import printable

# Two pipes and a pidfd.
_DESCRIPTORS_EACH = 3

# One read. A pipe holds as much unless somebody changes that.
_CHUNK = 1 << 16

# Bytes read of one pipe when its process has exited: more than was in it, even at the largest size that an
# unprivileged process can give a pipe, so all that was printed before the exit.
_LARGEST_PIPE = 1 << 20

# Seconds between looks at somebody who is behind, or at groups that were told to end.
_PAUSE = 0.005

# Such looks at what was killed, a second in all: only what waits for a broken disk takes longer to die.
_LOOKS_AFTER_KILL = 200

# Processes started before the loop looks at exits, output and signals again. Each takes 0.1 to 0.4 ms, so a Ctrl-C
# waits for 6 ms at the most.
_STARTS_PER_TURN = 16

_EXIT = 0


class _Process:
    """A running command, the task at ``place`` in a chain that goes on until the time ``until``.

    ``pipes``: the reading ends that are open, by stream.
    """

    __slots__ = (
        "chain",
        "interrupted",
        "number",
        "pid",
        "pidfd",
        "pipes",
        "place",
        "reaped",
        "script",
        "task",
        "until",
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
        self.interrupted = False
        self.reaped = False
        self.script: str | None = None
        self.waiter: threading.Thread | None = None


class ProcessExecutor:
    """Runs commands with ``/bin/sh -c``, standard input from ``/dev/null``."""

    def __init__(self, jobs: int | None = None, *, grace: float = 5.0, portable: bool = False) -> None:
        """``jobs``: at most so many at once, None for what the system grants.

        ``grace``: seconds between asking what outlived its task to end and ending it. ``portable``: use no
        epoll, pidfd or posix_spawn; taken anyway where they do not exist.
        """
        granted = granted_processes(_DESCRIPTORS_EACH)
        self._slots = Slots(min(jobs, granted) if jobs else granted)
        self._grace = grace
        self._portable = portable or not _has_pidfd()
        self._running: set[_Process] = set()
        self._lingering: set[_Process] = set()
        self._watched: dict[int, tuple[_Process, int]] = {}
        self._interrupted = False
        self._forced = False
        self._pausing = False
        self._epoll: select.epoll | None = None

    @property
    def slots(self) -> int:
        """How many commands may run at present, or a few more than run already."""
        return min(self._slots.number, len(self._running) + _STARTS_PER_TURN)

    def open(self, events: Events) -> None:
        """Begin to wait for processes and their output."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._spawner = Spawner(portable=self._portable)
        if not self._portable:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._on_events)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Run commands; failed unless their shells exit with 0."""
        until = self._loop.time() + CHAIN_SECONDS
        for chain in chains:
            self._start(_Process(chain, 0, until))
        if self._slots.number > _STARTS_PER_TURN:
            # More may run than was said before these did.
            self._events.slots_changed()

    def _start(self, process: _Process) -> None:
        if self._interrupted:
            self._events.task_ended(process.number, None)
            return
        try:
            self._spawn(process)
        except OSError as error:
            self._discard(process)
            cause = printable(f"cannot start: {_cause(error)}")
            outcome: Outcome | None = Outcome(Status.FAILED, cause)
            if error.errno in SHORTAGES and not self._slots.refused(self._events, len(self._running), cause):
                outcome = None
            self._events.task_ended(process.number, outcome)
        else:
            self._slots.started()

    def interrupt(self, *, force: bool) -> None:
        """TERM and CONT to every group, KILL with ``force``."""
        if not self._interrupted:
            # What has exited by now has done so by itself.
            self._on_events()
        self._interrupted = True
        self._signal_all(force=force)

    async def close(self) -> None:
        """End the processes that commands left behind, after reading what they print until then."""
        timer = None if self._interrupted else self._end_rest()
        await self._wait_for_groups()
        if timer is not None:
            timer.cancel()
        for process in list(self._lingering):
            self._forget(process)
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        self._spawner.close()

    def _end_rest(self) -> asyncio.TimerHandle | None:
        """Name the processes that keep their output open and tell them to end. Returns what ends them later."""
        # Some may have closed it by now, and are let go.
        self._on_events()
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
                await asyncio.sleep(_PAUSE)

    def _signal_all(self, *, force: bool) -> None:
        self._forced = self._forced or force
        for process in self._running | self._lingering:
            process.interrupted = True
            signal_group(process.pid, signal.SIGKILL if force else signal.SIGTERM)
            if not force:
                signal_group(process.pid, signal.SIGCONT)

    def _warn_of_rest(self, process: _Process, fate: str) -> None:
        self._events.warning(f"{process.task.label}: left a process behind that keeps its output open; {fate}")

    # Starting

    def _spawn(self, process: _Process) -> None:
        """Start the process. Raises OSError with nothing started; what is open is then in ``process``."""
        out = self._pipe(process, STDOUT)
        try:
            err = self._pipe(process, STDERR)
            try:
                process.pid, process.script = self._spawner.start(process.task, out, err)
            finally:
                os.close(err)
        finally:
            os.close(out)
        self._running.add(process)
        self._events.task_started(process.number)
        try:
            if self._epoll is None:
                raise OSError
            # Two descriptors were closed just now: there is room for this one.
            process.pidfd = os.pidfd_open(process.pid)
            self._watch(process.pidfd, process, _EXIT)
        except OSError:
            thread = threading.Thread(target=self._wait, args=(process,), name="fastrun-wait", daemon=True)
            try:
                thread.start()
                process.waiter = thread
            except RuntimeError:
                # No thread to be had either.
                self._poll(process)

    def _pipe(self, process: _Process, stream: int) -> int:
        """Make a pipe whose reading end is watched. Returns the writing end."""
        read_end, write_end = os.pipe()
        process.pipes[stream] = read_end
        try:
            os.set_blocking(read_end, False)
            self._watch(read_end, process, stream)
        except OSError:
            os.close(write_end)
            raise
        return write_end

    # Reading and waiting

    def _watch(self, descriptor: int, process: _Process, what: int) -> None:
        if self._epoll is None:
            self._loop.add_reader(descriptor, self._read_portably, process, what)
        else:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._watched[descriptor] = (process, what)

    def _unwatch(self, descriptor: int) -> None:
        """Close a descriptor, which is watched unless watching it failed."""
        if self._watched.pop(descriptor, None) is not None:
            if self._epoll is None:
                self._loop.remove_reader(descriptor)
            else:
                # Closing alone would not do while a snippet's fork holds a copy: its events would come for ever.
                self._epoll.unregister(descriptor)
        os.close(descriptor)

    def _on_events(self) -> None:
        """Handle what is ready: all exits and one read of each pipe."""
        if self._epoll is None:
            return
        self._handle_events()
        if self._events.congested and not self._pausing:
            self._pausing = True
            self._loop.remove_reader(self._epoll.fileno())
            self._loop.call_later(_PAUSE, self._resume)

    def _handle_events(self, *, exits_only: bool = False) -> None:
        if self._epoll is None:
            return
        for descriptor, state in self._epoll.poll(0, 256):
            # Not if an exit earlier in this batch has closed it.
            watched = self._watched.get(descriptor)
            if watched is None:
                continue
            process, what = watched
            if what == _EXIT:
                self._exited(process)
            elif state == select.EPOLLHUP:
                # Closed and empty: the end, without asking for it.
                self._close_pipe(process, what)
            elif not exits_only:
                self._read(process, what)

    def _resume(self) -> None:
        """Read on once the output has been taken, or when everything is to end."""
        if self._epoll is None:
            return
        if self._events.congested and not self._forced:
            if self._interrupted:
                # Who is to end soon is not kept by a reader who does not read.
                self._handle_events(exits_only=True)
            self._loop.call_later(_PAUSE, self._resume)
            return
        self._pausing = False
        self._loop.add_reader(self._epoll.fileno(), self._on_events)

    def _read_portably(self, process: _Process, stream: int) -> None:
        if self._events.congested and not self._forced:
            # The loop asks again at once: without a rest it would do nothing else.
            self._loop.remove_reader(process.pipes[stream])
            self._loop.call_later(_PAUSE, self._rewatch, process, stream)
        else:
            self._read(process, stream)

    def _rewatch(self, process: _Process, stream: int) -> None:
        if stream in process.pipes:
            self._loop.add_reader(process.pipes[stream], self._read_portably, process, stream)

    def _read(self, process: _Process, stream: int) -> int:
        """Read once. Returns the number of bytes; closes the pipe at its end."""
        descriptor = process.pipes[stream]
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return 0
        if data:
            self._events.task_output(process.number, stream, data)
        else:
            self._close_pipe(process, stream)
        return len(data)

    def _close_pipe(self, process: _Process, stream: int) -> None:
        """Close a pipe at its end, and let go of a process that only its open pipes kept."""
        self._unwatch(process.pipes.pop(stream))
        if process in self._lingering and not process.pipes and not process.interrupted:
            self._forget(process)

    def _drain(self, process: _Process) -> None:
        """Read all that is in the pipes now, and no more: somebody may go on writing."""
        for stream in list(process.pipes):
            left = _LARGEST_PIPE
            while left > 0 and (count := self._read(process, stream)):
                left -= count

    def _exited(self, process: _Process) -> None:
        """Handle the exit of a process: the rest of its output, its status, and what it leaves behind."""
        self._drain(process)
        keep = os.WNOWAIT if process.pipes or process.interrupted else 0
        process.reaped = not keep
        code = None
        try:
            result = os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOHANG | keep)
        except ChildProcessError:
            # Somebody else has reaped it: a snippet that waits for any child, or SIGCHLD is ignored.
            process.reaped = True
        else:
            if result is not None:
                code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
        self._unwatch(process.pidfd)
        self._end(process, code)

    def _wait(self, process: _Process) -> None:
        """Wait for one process, in a thread of its own: where there is no pidfd."""
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        except ChildProcessError:
            code = None
        with suppress(RuntimeError):
            # The loop is closed if the run gave up on this process.
            self._loop.call_soon_threadsafe(self._waited, process, code)

    def _poll(self, process: _Process) -> None:
        """Wait for one process by asking again and again: the last resort."""
        try:
            pid, status = os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            self._waited(process, None)
            return
        if pid:
            self._waited(process, os.waitstatus_to_exitcode(status))
        else:
            self._loop.call_later(_PAUSE, self._poll, process)

    def _waited(self, process: _Process, code: int | None) -> None:
        process.reaped = True
        if process.waiter is not None:
            # It has said its last word.
            process.waiter.join()
        self._drain(process)
        self._end(process, code)

    def _end(self, process: _Process, code: int | None) -> None:
        self._running.discard(process)
        self._slots.ended()
        if process.script is not None:
            with suppress(OSError):
                os.unlink(process.script)
        if process.pipes or process.interrupted:
            self._lingering.add(process)
        outcome = Outcome(Status.INTERRUPTED) if process.interrupted else exit_outcome(code)
        go_on = self._events.task_ended(process.number, outcome)
        following = process.place + 1
        if outcome.status is Status.OK and following < len(process.chain):
            if go_on and self._loop.time() < process.until:
                self._start(_Process(process.chain, following, process.until))
            else:
                self._events.task_ended(process.chain[following][0], None)

    def _forget(self, process: _Process) -> None:
        """Let go of a lingering process after reading what is in its pipes."""
        # First, so that the end of its last pipe does not lead back here.
        self._lingering.discard(process)
        self._drain(process)
        if process.pipes and not self._forced:
            self._warn_of_rest(process, "it left its session and lives on")
        if not process.reaped:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, 0)
        for descriptor in process.pipes.values():
            self._unwatch(descriptor)
        process.pipes.clear()

    def _discard(self, process: _Process) -> None:
        """Give back what a process took that could not be started."""
        for descriptor in process.pipes.values():
            self._unwatch(descriptor)


def _has_pidfd() -> bool:
    """Whether pidfds can be had: Linux 5.4 and later, unless a sandbox forbids them."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def _cause(error: OSError) -> str:
    """What went wrong, with the path where it is about one."""
    cause = error.strerror or str(error)
    return cause if error.filename is None else f"{cause}: {os.fsdecode(error.filename)}"

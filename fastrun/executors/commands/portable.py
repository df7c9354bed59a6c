"""A reader of the loop for each pipe, a thread for each process: for systems without epoll and pidfd."""

import asyncio
import os
import threading
from contextlib import suppress

from fastrun.executors.commands.poll import Poll
from fastrun.executors.commands.process import PAUSE, Owner, Process, collect_exit
from fastrun.protocols import Events


class LoopWatch:
    """Watches processes by what every system has."""

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
            Poll(self._loop, self._events, self._owner, process)
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
        """Do nothing: the thread that has waited for the process could not but reap it."""

    def look(self) -> None:
        """Do nothing: the loop looks."""

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
        """Wait for a process, in a thread of its own."""
        collect_exit(process, os.P_PID, process.pid, keep=False, measured=self._measured, flags=0)
        with suppress(RuntimeError):
            # The loop is closed if the run gave up on this process.
            self._loop.call_soon_threadsafe(self._waited, process)

    def _waited(self, process: Process) -> None:
        if process.waiter is not None:
            # The thread is at its end.
            process.waiter.join()
        self._owner.exited(process)
        self._owner.turn_ended()

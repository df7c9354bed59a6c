"""Looks at processes again and again: the last resort, where the kernel cannot tell of them by itself."""

import asyncio
import os
from contextlib import suppress

from fastrun.executors.commands.child import Child, Parent, collect_exit
from fastrun.executors.commands.process import PAUSE
from fastrun.protocols import Events

# Seconds between looks while processes end in quick succession. The pause doubles up to PAUSE.
_SHORTEST = 0.0005


class PollWatch:
    """Watches processes by what every system has."""

    def __init__(self, events: Events, parent: Parent) -> None:
        """Begin, inside the running loop."""
        self._events = events
        self._parent = parent
        self._loop = asyncio.get_running_loop()
        self._children: set[Child] = set()
        self._pause = _SHORTEST
        self._timer: asyncio.TimerHandle | None = None
        # Set once all is to end: exits are then told even while an observer does not take the output.
        self.interrupted = False

    def add(self, child: Child) -> None:
        """Look at a process from now on."""
        for descriptor in child.pipes.values():
            # Reading tells of a pipe that a snippet has closed.
            with suppress(OSError):
                os.set_blocking(descriptor, False)
        self._children.add(child)
        self._pause = _SHORTEST
        if self._timer is None:
            self._timer = self._loop.call_later(self._pause, self._look_again)

    def close_pipe(self, child: Child, stream: int) -> None:
        """Close a pipe."""
        descriptor = child.pipes.pop(stream)
        with suppress(OSError):
            # A snippet may have closed it.
            os.close(descriptor)

    def reap(self, child: Child, *, keep: bool) -> None:
        """Set the exit code of a process that has exited. ``keep``: keep its number for it."""
        collect_exit(child, os.P_PID, child.pid, keep=keep)

    def look(self) -> None:
        """Look at all of them now."""
        takes = not self._events.congested
        for child in list(self._children):
            self._look_at(child, takes=takes)
        self._parent.turn_ended()

    def close(self) -> None:
        """End watching."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_at(self, child: Child, *, takes: bool) -> None:
        if takes:
            for stream in list(child.pipes):
                self._parent.readable(child, stream)
        if not child.exited and (takes or self.interrupted) and collect_exit(child, os.P_PID, child.pid, keep=True):
            self._parent.exited(child)
            self._pause = _SHORTEST
        if child.exited and not child.pipes:
            self._children.discard(child)

    def _look_again(self) -> None:
        self._timer = None
        self.look()
        if self._children:
            self._pause = min(2 * self._pause, PAUSE)
            self._timer = self._loop.call_later(self._pause, self._look_again)

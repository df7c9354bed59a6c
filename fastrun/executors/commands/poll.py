"""Looks at a process again and again: the last resort, where there is neither a descriptor nor a thread to be had."""

import asyncio
import os
from contextlib import suppress

from fastrun.executors.commands.process import PAUSE, Owner, Process, collect_exit
from fastrun.protocols import Events


class Poll:
    """The looks at one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, events: Events, owner: Owner, process: Process) -> None:
        self._loop = loop
        self._events = events
        self._owner = owner
        self._process = process
        for descriptor in process.pipes.values():
            # Reading tells of a pipe that a snippet has closed.
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
        if not process.exited and collect_exit(process, os.P_PID, process.pid, keep=False, measured=False):
            self._owner.exited(process)
            self._owner.turn_ended()
        if process.pipes or not process.exited:
            self._later()

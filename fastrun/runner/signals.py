"""Signals: they interrupt a run, and limit the time for writing its last output.

Python's signal handlers tell the loop. The loop's own handlers would not do. A loop calls them some turns after a
signal: a signal that comes when the run has no more turns is lost. And while they are removed, a signal ends the
process. KeyboardInterrupt would not do either: raised within a weak reference's callback, it is lost.
"""

import asyncio
import os
import signal
import threading
from contextlib import suppress
from functools import partial
from typing import Any

from fastrun.runner.runner import Run
from fastrun.threads import Thread

# Seconds that the last output of an interrupted run waits for a terminal that takes nothing.
LAST_WORDS = 1.0


class Signals:
    """The handlers of a run's signals: SIGINT, SIGTERM and SIGHUP interrupt it, SIGTSTP stops it.

    A signal that was ignored when the program started stays ignored: ``nohup``, and a shell's background jobs.
    ``first``: the first signal that was to interrupt the run, even if nothing was left to interrupt.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # By number of a signal, its original handler.
        self._before: dict[int, Any] = {}
        # The thread that ends the process once the time for the last output is over, and what keeps it from that.
        self._limit: Thread | None = None
        self._restored = threading.Event()
        # None before the run and after it.
        self._loop: asyncio.AbstractEventLoop | None = None
        self.first: int | None = None

    def handle(self) -> None:
        """Install the handlers, in the main thread and its running loop."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
            before = signal.getsignal(number)
            if before is signal.SIG_IGN:
                continue
            self._before[int(number)] = before or signal.SIG_DFL
            signal.signal(number, self._suspend if number == signal.SIGTSTP else self._note)
            # System calls of snippets must not fail because of a signal. The byte that Python writes wakes the loop.
            signal.siginterrupt(number, False)

    def run_ended(self) -> None:
        """Note that the run is over: a signal then ends the process after LAST_WORDS, a second one at once."""
        self._loop = None
        for number in self._before:
            if number == signal.SIGTSTP:
                signal.signal(number, signal.SIG_DFL)
            else:
                # A signal then wakes the main thread while it waits for another thread.
                signal.siginterrupt(number, True)

    def restore(self) -> None:
        """Put back the original handlers. Does not return once the time is over: one thread alone ends the process."""
        self._restored.set()
        if self._limit is not None:
            self._limit.join()
        for number, before in self._before.items():
            signal.signal(number, before)

    def _suspend(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._run.suspend)

    def _note(self, number: int, _: object) -> None:
        again = self.first is not None
        self.first = self.first or number
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._run.interrupt, number)
            return
        if again:
            os._exit(128 + number)
        limit = Thread(partial(self._leave, 128 + number), "fastrun-limit")
        # Where the system grants no thread, the second signal ends the process.
        with suppress(RuntimeError):
            limit.start()
            self._limit = limit

    def _leave(self, code: int) -> None:
        if not self._restored.wait(LAST_WORDS):
            os._exit(code)

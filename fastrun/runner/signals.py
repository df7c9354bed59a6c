"""Lets signals interrupt a run, and limit what is written after it.

Handlers of Python's take the signals and tell the loop. The loop's own handlers would not do: a loop calls them some
turns after a signal, so that a signal is lost that comes when the run has no more turns; and while they are removed,
the signal ends the process. KeyboardInterrupt would not do either: raised within a weak reference's callback, it is
lost.
"""

import asyncio
import os
import signal
import threading
from typing import Any

from fastrun.runner.runner import Run

# Seconds for which the last output of an interrupted run waits for a terminal that takes nothing.
LAST_WORDS = 1.0


class Signals:
    """While a run lasts, SIGINT, SIGTERM and SIGHUP interrupt it and SIGTSTP stops it. Then they limit what follows.

    A signal that was ignored when the program started stays ignored: ``nohup``, and a shell's background jobs.
    ``first``: the first signal to interrupt, even where nothing was left to be interrupted.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # Handlers of before, by number.
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None
        # None when the run is over.
        self._loop: asyncio.AbstractEventLoop | None = None
        self.first: int | None = None

    def handle(self) -> None:
        """Begin, in the main thread and its running loop."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
            before = signal.getsignal(number)
            if before is signal.SIG_IGN:
                continue
            self._before[int(number)] = before or signal.SIG_DFL
            signal.signal(number, self._suspend if number == signal.SIGTSTP else self._note)
            # System calls of snippets must not fail for it. The byte that Python writes wakes the loop.
            signal.siginterrupt(number, False)

    def run_ended(self) -> None:
        """Note that the run is over: the next signal leaves LAST_WORDS for what is unwritten, a further one nothing."""
        self._loop = None
        for number in self._before:
            if number == signal.SIGTSTP:
                signal.signal(number, signal.SIG_DFL)
            else:
                # So that a signal wakes what waits for a thread.
                signal.siginterrupt(number, True)

    def restore(self) -> None:
        """Put back the handlers of before."""
        if self._timer is not None:
            self._timer.cancel()
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
        self._timer = threading.Timer(LAST_WORDS, os._exit, [128 + number])
        self._timer.daemon = True
        self._timer.start()

"""What signals do to a run, and to what is written after it.

They are handled by handlers of Python's, which tell the loop, and not by its own. A loop calls those some turns after a
signal has come, so that one would be lost that comes when the run has no more turns; and while they are removed, the
signal ends the process. A KeyboardInterrupt would be lost that happens to be raised within a weak reference's callback.
"""

import asyncio
import os
import signal
import threading
from typing import Any

from fastrun.runner.runner import Run

# Seconds that the last output of an interrupted run waits for a terminal that takes nothing.
LAST_WORDS = 1.0


class Signals:
    """SIGINT, SIGTERM and SIGHUP interrupt a run, SIGTSTP stops it, as long as it lasts; then they limit what follows.

    One that was ignored when the program started stays so: ``nohup``, and a shell's background jobs.
    ``first``: the first to interrupt, even in a moment when nothing was left to be interrupted.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # By number, what was done before.
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None
        # While the run lasts.
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
            # What snippets call is not to fail for it. The loop is woken by the byte that Python writes.
            signal.siginterrupt(number, False)

    def run_ended(self) -> None:
        """The run is over: one more signal leaves a second for what is to be written, the next one nothing."""
        self._loop = None
        for number in self._before:
            if number == signal.SIGTSTP:
                signal.signal(number, signal.SIG_DFL)
            else:
                # Of what waits for a thread.
                signal.siginterrupt(number, True)

    def restore(self) -> None:
        """Let them do what they did before."""
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

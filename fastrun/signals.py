"""What signals do to a run, and to what is written after it.

A loop calls its handlers some turns after a signal has come; one that comes when the run has no more turns would be
lost, and so would a KeyboardInterrupt that happens to be raised within a weak reference's callback. So a handler of
Python's notes each as well, which is called before anything else and raises nothing.
"""

import asyncio
import os
import signal
import threading
from contextlib import suppress

from fastrun.runner import Run

# Seconds that the last output of an interrupted run waits for a terminal that takes nothing.
LAST_WORDS = 1.0


class Signals:
    """SIGINT, SIGTERM and SIGHUP interrupt a run, SIGTSTP stops it, as long as it lasts; then they limit what follows.

    One that was ignored when the program started stays so: ``nohup``, and a shell's background jobs.
    ``first``: the first to interrupt, even in a moment when nothing was left to be interrupted.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._handled: list[int] = []
        self._timer: threading.Timer | None = None
        self._over = False
        self.first: int | None = None

    def handle(self) -> None:
        """Begin, in the main thread and its running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._handled.append(int(number))
            if number == signal.SIGTSTP:
                loop.add_signal_handler(number, self._run.suspend)
            else:
                loop.add_signal_handler(number, self._run.interrupt, number)
                # In the place of one that does nothing: loops go by the bytes that Python writes for each signal.
                signal.signal(number, self._note)
                signal.siginterrupt(number, False)

    def run_ended(self) -> None:
        """The run is over: one more signal leaves a second for what is to be written, the next one nothing."""
        self._over = True
        loop = asyncio.get_running_loop()
        for number in self._handled:
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)
                if number != signal.SIGTSTP:
                    # Unlike the loop's it interrupts what waits for a thread.
                    signal.signal(number, self._note)

    def restore(self) -> None:
        """Let them do what they do in any program."""
        if self._timer is not None:
            self._timer.cancel()
        for number in self._handled:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def _note(self, number: int, _: object) -> None:
        again = self.first is not None
        self.first = self.first or number
        if not self._over:
            return
        if again:
            os._exit(128 + number)
        self._timer = threading.Timer(LAST_WORDS, os._exit, [128 + number])
        self._timer.daemon = True
        self._timer.start()

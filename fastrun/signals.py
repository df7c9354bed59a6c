"""What signals do to a run."""

import asyncio
import signal
from collections.abc import Iterable
from contextlib import suppress

from fastrun.runner import Run


def handle_signals(run: Run, loop: asyncio.AbstractEventLoop) -> list[int]:
    """Let SIGINT, SIGTERM and SIGHUP interrupt a run, and SIGTSTP stop it. Returns the signals that are handled now.

    One that was ignored when the program started stays so: ``nohup``, and a shell's background jobs.
    """
    handled = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            if number == signal.SIGTSTP:
                loop.add_signal_handler(number, run.suspend)
            else:
                loop.add_signal_handler(number, run.interrupt, number)
            handled.append(int(number))
    return handled


def release_signals(handled: Iterable[int], loop: asyncio.AbstractEventLoop) -> None:
    """Take back what ``handle_signals`` did."""
    for number in handled:
        with suppress(ValueError, RuntimeError):
            loop.remove_signal_handler(number)

"""What the exits of commands mean, and refusals to start them.

Knows exit codes, and how many processes the kernel has killed for want of memory. Does not know which commands run.
"""

import os
import signal

from fastrun.executors.commands.engine import INTERRUPTED, LOST
from fastrun.executors.peaks import PEAK_UNIT, own_peak
from fastrun.executors.shortage import oom_kills
from fastrun.outcome import Cause, Outcome, Status, Usage, exit_outcome
from fastrun.text import COLUMNS_SHOWN, printable

# Columns of the report's line that tell why a command cannot start.
_CAUSE_COLUMNS = COLUMNS_SHOWN - len("cannot start: ")

# Exit codes of commands of which the kernel may have killed a process for want of memory: the command itself, or what a
# shell called last.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


class Exits:
    """Tells the outcomes of commands from their exits, in the order of these."""

    def __init__(self) -> None:
        self._kills = oom_kills()

    def outcome(self, code: int, flags: int, unread: int, running: int) -> Outcome:
        """Return what an exit means. ``code``, ``flags``, ``unread``: see ``EXITED``. ``running``: how many run yet."""
        if flags & INTERRUPTED:
            return Outcome(Status.INTERRUPTED)
        outcome = exit_outcome(None if code == LOST else code)
        if unread and outcome.status is Status.OK:
            return Outcome(Status.FAILED, Cause.OUTPUT_LOST, os.strerror(unread))
        if code in _KILLED and (kills := oom_kills()) > self._kills:
            # Other kills may be those of commands whose ends are not told yet.
            self._kills = max(self._kills + 1, kills - running)
            return Outcome(Status.FAILED, Cause.OUT_OF_MEMORY)
        return outcome


def usage(cpu_seconds: float, peak: int) -> Usage:
    """Return what a command used. ``peak``: of its memory, as ``getrusage`` counts it."""
    return Usage(cpu_seconds, peak * PEAK_UNIT if peak > own_peak() else None)


def cannot_start(error: OSError) -> Outcome:
    """Return the outcome of a command that cannot start, with the path if there is one."""
    cause = error.strerror or str(error)
    if error.filename is not None:
        cause += f": {os.fsdecode(error.filename)}"
    return Outcome(Status.FAILED, Cause.CANNOT_START, printable(cause, _CAUSE_COLUMNS))

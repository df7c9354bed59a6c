"""What the exits of commands mean, and refusals to start them.

Knows exit codes, and how many processes the kernel has killed for want of memory. Does not know which commands run.
"""

import os
import signal

from fastrun.executors.commands.engine import INTERRUPTED, LOST
from fastrun.executors.limits import group_folders
from fastrun.executors.peaks import PEAK_UNIT, is_known
from fastrun.outcome import Cause, Outcome, Status, Usage, exit_outcome
from fastrun.text import COLUMNS_SHOWN, printable

# Columns of the report's line that tell why a command cannot start.
_CAUSE_COLUMNS = COLUMNS_SHOWN - len("cannot start: ")

# Exit codes of commands of which the kernel may have killed a process for want of memory: the command itself, or what a
# shell called last.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)

# Files of control groups, versions 2 and 1, that count the processes killed for want of memory. A kill counts in the
# group of the killed process, even if the whole machine was short; with version 2 in the groups above it too.
_COUNTERS = ("memory.events", "memory.oom_control")


class Exits:
    """Tells the outcomes of commands from their exits, in the order of these."""

    def __init__(self, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> None:
        """``proc``, ``groups``: where the system's files are."""
        self._counter = _counter(proc, groups)
        self._kills = _kills(self._counter) or 0

    def outcome(self, code: int, flags: int, unread: int, running: int) -> Outcome:
        """Return what an exit means. ``code``, ``flags``, ``unread``: see ``EXITED``. ``running``: how many run yet."""
        if flags & INTERRUPTED:
            return Outcome(Status.INTERRUPTED)
        outcome = exit_outcome(None if code == LOST else code)
        if unread and outcome.status is Status.OK:
            return Outcome(Status.FAILED, Cause.OUTPUT_LOST, os.strerror(unread))
        if code in _KILLED and (kills := _kills(self._counter) or 0) > self._kills:
            # Other kills may be those of commands whose ends are not told yet.
            self._kills = max(self._kills + 1, kills - running)
            return Outcome(Status.FAILED, Cause.OUT_OF_MEMORY)
        return outcome


def usage(cpu_seconds: float, peak: int) -> Usage:
    """Return what a command used. ``peak``: of its memory, as ``getrusage`` counts it."""
    return Usage(cpu_seconds, peak * PEAK_UNIT if is_known(peak) else None)


def cannot_start(error: OSError) -> Outcome:
    """Return the outcome of a command that cannot start, with the path if there is one."""
    cause = error.strerror or str(error)
    if error.filename is not None:
        cause += f": {os.fsdecode(error.filename)}"
    return Outcome(Status.FAILED, Cause.CANNOT_START, printable(cause, _CAUSE_COLUMNS))


def _counter(proc: str, groups: str) -> str:
    """Return the file that counts the kills in this process's control group, or on the machine if no group does."""
    folders = group_folders("memory", groups, os.path.join(proc, "self/cgroup"))
    files = (os.path.join(folder, name) for folder in folders for name in _COUNTERS)
    return next((file for file in files if _kills(file) is not None), os.path.join(proc, "vmstat"))


def _kills(counter: str) -> int | None:
    """Return how many processes the kernel has killed for want of memory, None if the file does not say."""
    try:
        with open(counter, "rb", buffering=0) as file:
            _, found, rest = file.read().partition(b"\noom_kill ")
    except OSError:
        return None
    return int(rest.split(b"\n", 1)[0]) if found else None

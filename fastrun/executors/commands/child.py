"""A process that this process has started, as Python watches it, and how its exit is collected."""

import os
from typing import Protocol

from fastrun.executors.commands.process import Process
from fastrun.executors.guardian.table import NO_ROW

# Bytes that a pipe holds, and so the most that a read of it gives.
PIPE = 1 << 16


class Child:
    """A running command, or one that lingers.

    ``behind``: the commands of its chain that follow it, until the time ``until``. ``pipes``: the reading ends that are
    open, by stream. ``code``: its exit code as ``subprocess`` has it, None before its end or if it is lost. ``used``:
    processor seconds and peak memory as getrusage counts it, known once it is reaped. ``row``: its row in the
    guardian's table. ``room``: bytes that its pipes hold. ``unread``: errno of a read of its pipes that failed.
    """

    __slots__ = (
        "behind",
        "code",
        "exited",
        "pid",
        "pidfd",
        "pipes",
        "process",
        "room",
        "row",
        "unread",
        "until",
        "used",
    )

    def __init__(self, process: Process, behind: list[Process], until: float) -> None:
        self.process = process
        self.behind = behind
        self.until = until
        self.pid = 0
        self.pidfd = -1
        self.pipes: dict[int, int] = {}
        self.code: int | None = None
        self.exited = False
        self.room = PIPE
        self.row = NO_ROW
        self.unread = 0
        self.used = (0.0, 0)


class Parent(Protocol):
    """What a watcher tells of children. Called in the thread of the loop."""

    def readable(self, child: Child, stream: int) -> None:
        """A pipe has something to read, or has come to its end."""
        ...

    def hung_up(self, child: Child, stream: int) -> None:
        """A pipe is empty, and no process has its other end."""
        ...

    def exited(self, child: Child) -> None:
        """A process has exited: it is time to read the rest and to reap it."""
        ...

    def turn_ended(self) -> None:
        """All that was ready has been told."""
        ...

    def broken(self, error: Exception) -> None:
        """Nothing can be watched any more; children are looked at now and then."""
        ...


def collect_exit(child: Child, kind: int, number: int, *, keep: bool) -> bool:
    """Ask for the exit of a process and set its code. Return whether it has exited.

    ``kind``, ``number``: what ``waitid`` knows it by. ``keep``: do not reap it; then what it used is not known.
    """
    try:
        result = os.waitid(kind, number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is not None and not keep:
            # By its number, which is its own until then.
            _, _, used = os.wait4(child.pid, os.WNOHANG)
            child.used = used.ru_utime + used.ru_stime, int(used.ru_maxrss)
    except ChildProcessError:
        # It has been reaped already: by a snippet that waits for any child, or because SIGCHLD is ignored.
        return True
    if result is None:
        return False
    child.code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
    return True

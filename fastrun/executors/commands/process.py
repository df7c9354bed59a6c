"""A running command, what its watcher tells of it, and how its exit is collected."""

import os
import resource
import sys
import threading
from typing import Protocol

from fastrun.executors.guardian.table import NO_ROW
from fastrun.outcome import Usage
from fastrun.protocols import Chain

# Seconds between looks at observers that are behind with the output, and at processes that cannot be watched.
PAUSE = 0.005

# Bytes that a pipe holds, and so the most that a read of it gives.
PIPE = 1 << 16

# Bytes in which getrusage counts memory.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Process:
    """A running command: the task at ``position`` in a chain that goes on until the time ``until``.

    ``pipes``: the reading ends that are open, by stream. ``code``: its exit code as ``subprocess`` has it, None before
    its end or if it is lost. ``row``: its row in the guardian's table. ``exited``: whether its exit has been told.
    ``room``: bytes that its pipes hold. ``reaped``: whether its number may be another process's by now.
    ``unread``: why its output is not whole, if so. ``usage``: known once it is measured and reaped.
    """

    __slots__ = (
        "chain",
        "code",
        "exited",
        "interrupted",
        "number",
        "pid",
        "pidfd",
        "pipes",
        "position",
        "reaped",
        "room",
        "row",
        "script",
        "task",
        "unread",
        "until",
        "usage",
        "waiter",
    )

    def __init__(self, chain: Chain, position: int, until: float) -> None:
        self.chain = chain
        self.position = position
        self.until = until
        self.number, self.task = chain[position]
        self.pid = 0
        self.pidfd = -1
        self.pipes: dict[int, int] = {}
        self.code: int | None = None
        self.exited = False
        self.interrupted = False
        self.reaped = False
        self.room = PIPE
        self.row = NO_ROW
        self.script: str | None = None
        self.unread = ""
        self.usage: Usage | None = None
        self.waiter: threading.Thread | None = None


class Owner(Protocol):
    """What a watcher tells of its processes. Called in the thread of the loop."""

    def readable(self, process: Process, stream: int) -> None:
        """A pipe has something to read, or has come to its end."""
        ...

    def hung_up(self, process: Process, stream: int) -> None:
        """A pipe is empty, and no process has its other end."""
        ...

    def exited(self, process: Process) -> None:
        """A process has exited: it is time to read the rest and to ``reap``."""
        ...

    def turn_ended(self) -> None:
        """All that was ready has been told."""
        ...


def collect_exit(
    process: Process, kind: int, number: int, *, keep: bool, measured: bool, flags: int = os.WNOHANG
) -> bool:
    """Ask for the exit of a process and set its code. Return whether it has exited.

    ``kind``, ``number``: what ``waitid`` knows it by. ``keep``: do not reap it. ``measured``: set its usage too, unless
    it is kept: the kernel tells both only when it is reaped.
    """
    try:
        result = os.waitid(kind, number, os.WEXITED | flags | (os.WNOWAIT if keep or measured else 0))
        if measured and not keep and result is not None:
            # By its number, which is its own until then.
            _, _, used = os.wait4(process.pid, os.WNOHANG)
            # Until it became the shell it had the memory of this process.
            known = used.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            peak = used.ru_maxrss * _MAXRSS_UNIT if known else None
            process.usage = Usage(used.ru_utime + used.ru_stime, peak)
    except ChildProcessError:
        # It has been reaped already: by a snippet that waits for any child, or because SIGCHLD is ignored.
        process.reaped = True
        return True
    if result is None:
        return False
    process.reaped = not keep
    process.code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
    return True

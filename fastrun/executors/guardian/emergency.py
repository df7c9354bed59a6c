"""What the guardian does when the runner has died: it ends what the tasks started, and says what ran.

Runs in a process of its own, in haste: imports little. Knows processes, marks and rows of the table; nothing of
what the runner had in mind.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from fastrun.executors.guardian.groups import has_ended, signal_group
from fastrun.executors.guardian.marks import is_detached, mark, marked_environment, process_ids
from fastrun.executors.guardian.table import EVAL, EXEC, TOKEN, Row, read_rows

# Seconds between TERM and KILL, and after which what does not die is left. All are to be gone within one.
_GRACE = 0.3
_PATIENCE = 5.0

# Seconds between looks.
_PAUSE = 0.02

# Looks in a row that find nobody before it is believed: who forks and ends during one is not seen, nor is the child.
_QUIET_LOOKS = 2

_LABELS_SHOWN = 10


class Process(NamedTuple):
    """``start``: when it was started, in the kernel's ticks; with the id it tells it from all others."""

    pid: int
    start: int


class Runner(NamedTuple):
    """Who died, as the guardian knew it.

    ``copy_mark``: a descriptor of its, with the device and inode behind it, that only it and its copies have.
    """

    pid: int
    session: int
    group: int
    copy_mark: tuple[int, int, int] | None = None


class Survivors:
    """The processes that a run has left behind, but for those that are detached.

    Those with its mark, copies of the runner, and whoever is in a session or group of theirs or of a command that ran.
    """

    def __init__(self, run_id: str, leaders: Iterable[int], runner: Runner) -> None:
        """``leaders``: process ids of the commands that ran, each the leader of its session and group."""
        self._mark = mark(run_id)
        self._leaders = frozenset(leaders)
        self._runner = runner
        self._spared = {os.getpid(), runner.pid}
        # In the runner's own session and group are those who started it. 0 and 1 mean others than one group.
        self._foreign = {0, 1, runner.session, runner.group}
        self._began = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
        self._immune: set[Process] = set()

    def end(self) -> tuple[int, int]:
        """End them all: TERM and CONT, then KILL. Returns how many were ended and how many could not be."""
        began = time.monotonic()
        met: set[Process] = set()
        quiet = 0
        while True:
            processes, groups = self.look()
            passed = time.monotonic() - began
            quiet = 0 if processes else quiet + 1
            if quiet == _QUIET_LOOKS or passed > _PATIENCE:
                left = sum(_start(process.pid) == process.start for process in met)
                return len(met) - left, left
            if passed >= _GRACE or not processes:
                # Who forks and ends all the time is never seen alive, and all the same gets what his group is sent.
                for group in groups:
                    signal_group(group, signal.SIGKILL)
            if passed >= _GRACE:
                self._signal(processes, [signal.SIGKILL])
            else:
                self._signal([one for one in processes if one not in met], [signal.SIGTERM, signal.SIGCONT])
            met.update(processes)
            time.sleep(_PAUSE)

    def look(self) -> tuple[list[Process], set[int]]:
        """Who is seen alive now, and the groups in which there may be others of theirs and is nobody else."""
        places = []
        marked = set()
        others = set(self._spared)
        for pid in process_ids():
            try:
                places.append((pid, os.getsid(pid), os.getpgid(pid)))
            except OSError:
                continue
            environment = marked_environment(pid, self._mark)
            if environment is not None and is_detached(environment):
                others.add(pid)
            elif environment is not None or self._is_copy(pid):
                marked.add(pid)
        own = self._own({number for pid, *numbers in places if pid in marked for number in numbers}, marked)
        processes = []
        for pid, session, group in places:
            if pid not in others and (pid in marked or session in own or group in own):
                start = _start(pid)
                process = Process(pid, start)
                if start and process not in self._immune:
                    processes.append(process)
        return processes, own - {group for pid, _, group in places if pid in others}

    def _own(self, numbers: Collection[int], marked: Collection[int]) -> set[int]:
        """Of the sessions and groups that marked processes are in, those that are the run's, and the commands'."""
        # Led by somebody who is alive and not marked it is somebody else's: a user's, who has copied the environment.
        own = {number for number in numbers if number in marked or not _start(number)}
        # The number of a command that has ended may be somebody else's by now.
        own.update(number for number in self._leaders if _start(number) <= self._began)
        return own - self._foreign

    def _is_copy(self, pid: int) -> bool:
        """Whether this was forked off the runner by a snippet and has not become another program."""
        if self._runner.copy_mark is None:
            return False
        descriptor, device, inode = self._runner.copy_mark
        try:
            found = os.stat(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (device, inode)

    def _signal(self, processes: Iterable[Process], numbers: Sequence[signal.Signals]) -> None:
        for process in processes:
            try:
                _send(process, numbers)
            except ProcessLookupError:
                # It was faster.
                continue
            except PermissionError:
                # It has become another user's (sudo): nothing can be done about it.
                self._immune.add(process)


def _start(pid: int) -> int:
    """When a process was started, in ticks since the machine was; 0 if it does not live."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The name, in parentheses, may hold anything.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if has_ended(fields) else int(fields[19])


def _send(process: Process, numbers: Sequence[signal.Signals]) -> None:
    """Send signals to a process, if it still is the one that was seen. Raises OSError."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        # None to be had: an old kernel, or a sandbox.
        descriptor = -1
    try:
        # From here on the descriptor cannot come to mean another process, as the number can.
        if _start(process.pid) == process.start:
            for number in numbers:
                if descriptor >= 0:
                    signal.pidfd_send_signal(descriptor, number)
                else:
                    os.kill(process.pid, number)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def end_groups(groups: Iterable[int]) -> tuple[int, int]:
    """End the groups of the commands that ran, where there is no /proc. Returns as ``Survivors.end`` does."""
    living = met = {group for group in groups if _has_members(group)}
    for group in living:
        signal_group(group, signal.SIGTERM)
        signal_group(group, signal.SIGCONT)
    began = time.monotonic()
    while living and (passed := time.monotonic() - began) < _PATIENCE:
        time.sleep(_PAUSE)
        living = {group for group in living if _has_members(group)}
        for group in living if passed >= _GRACE else ():
            signal_group(group, signal.SIGKILL)
    return len(met - living), len(living)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def account(cause: str, ended: int, left: int, rows: Sequence[Row]) -> str:
    """What is said of it, in lines."""
    lines = [f"fastrun: {cause}; ended {ended} process{'' if ended == 1 else 'es'} of its tasks"]
    if left:
        lines[0] += f"; {left} could not be ended"
    for kind, name in ((EXEC, "commands"), (EVAL, "snippets")):
        labels = [row.label for row in rows if row.kind == kind and row.label]
        if labels:
            more = f" and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
            lines.append(f"fastrun: {name} that ran then: {', '.join(labels[:_LABELS_SHOWN])}{more}")
    return "".join(f"{line}\n" for line in lines)


def _erased_below() -> bytes:
    """What takes off a terminal the lines that the runner may have had below the cursor; nothing else is there."""
    return b"\x1b[J" if os.isatty(2) and os.environ.get("TERM", "dumb") not in ("", "dumb") else b""


def main() -> None:
    """Called with the run's id, the runner's process, session and group, the table's descriptor there and here.

    Last, where tokens are given back, or -1.
    """
    run_id, *numbers = sys.argv[1:]
    pid, session, group, table_there, table, tokens = map(int, numbers)
    # Whatever the shell took for the end of the pipe: this is it.
    while os.read(0, 1):
        pass
    died = os.getppid() != pid
    # A part of a run is what a worker of a cluster does.
    who = "a worker" if ":" in run_id else "fastrun"
    cause = f"{who} died" if died else f"{who} has become another program or closed its descriptors"
    rows = read_rows(table)
    leaders = [row.pid for row in rows if row.kind == EXEC]
    if process_ids():
        found = os.fstat(table)
        runner = Runner(pid, session, group, (table_there, found.st_dev, found.st_ino))
        ended, left = Survivors(run_id, leaders, runner).end()
    else:
        ended, left = end_groups(leaders)
    if tokens >= 0:
        with suppress(OSError):
            os.write(tokens, bytes(row.pid for row in rows if row.kind == TOKEN))
    data = _erased_below() + account(cause, ended, left, rows).encode("utf-8", "backslashreplace")
    with suppress(OSError):
        # Nobody may be there any more to read it.
        while data:
            data = data[os.write(2, data) :]

"""The emergency: after the runner's death the guardian ends what the tasks started, and says what ran.

Runs in a process of its own, in haste: imports little. Knows processes, marks and rows of the table; nothing of the
graph and of how tasks are run.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from fastrun.executors.guardian.groups import group_of, signal_group, signal_process
from fastrun.executors.guardian.marks import is_detached, listings, mark, marked_environment
from fastrun.executors.guardian.proc import Identity, file_identity, goes_on, is_thread, process_ids, start_time
from fastrun.executors.guardian.table import EVAL, EXEC, TOKEN, Row, read_rows

# Seconds between TERM and KILL, and until what has not died is left alone. All are to be gone within one second.
_GRACE = 0.3
_PATIENCE = 5.0

# Seconds between looks.
_PAUSE = 0.02

# Looks in a row that find no process before that is believed. A process that forks and ends during a look is not seen,
# nor is its child.
_QUIET_LOOKS = 2

# Most names of commands, and of snippets, that are listed.
_LABELS_SHOWN = 10


class Runner(NamedTuple):
    """The process that died, as the guardian knew it.

    ``copy_mark``: one of its descriptors, with the device and inode behind it. Only it and its copies have that.
    """

    pid: int
    session: int
    group: int
    copy_mark: tuple[int, int, int] | None = None


class Survivors:
    """The processes that a run has left behind, but for the detached ones.

    They are: processes with its mark, copies of the runner, and all processes in a session or group of these or of a
    command that ran. A process that was met is one of them until it has ended, even if its mark is gone: a dying
    process gives back its memory, and the mark with it, some time before its end.
    """

    def __init__(self, run_id: str, leaders: Iterable[int], runner: Runner) -> None:
        """``leaders``: process ids of the commands that ran, each the leader of its session and group."""
        self._mark = mark(run_id)
        self._leaders = frozenset(leaders)
        self._runner = runner
        self._spared = {os.getpid(), runner.pid}
        # The runner's own session and group hold processes that it did not start. 0 and 1 name no single group.
        self._foreign = {0, 1, runner.session, runner.group}
        self._began = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
        self._met: set[Identity] = set()
        self._immune: set[Identity] = set()

    def end(self) -> tuple[int, int]:
        """Send TERM and CONT to all, then KILL. Return how many processes were ended and how many could not be."""
        began = time.monotonic()
        quiet = 0
        asked: set[int] = set()
        while True:
            processes, groups = self.look()
            passed = time.monotonic() - began
            quiet = 0 if processes else quiet + 1
            if quiet == _QUIET_LOOKS or passed > _PATIENCE:
                left = sum(process.lives() for process in self._met)
                return len(self._met) - left, left
            if passed >= _GRACE or not processes:
                for group in groups:
                    signal_group(group, signal.SIGKILL)
            if passed >= _GRACE:
                self._signal(processes, [signal.SIGKILL])
            else:
                # A process that keeps forking has ended when it was seen. A signal to its group reaches the next.
                new = groups - asked
                for group in new:
                    signal_group(group, signal.SIGTERM)
                    signal_group(group, signal.SIGCONT)
                asked |= new
                alone = {process for process in processes - self._met if group_of(process.pid) not in new}
                self._signal(alone, [signal.SIGTERM, signal.SIGCONT])
            self._met |= processes
            time.sleep(_PAUSE)

    def look(self) -> tuple[set[Identity], set[int]]:
        """Return the survivors that are seen now, and the groups in which there may be others and no other process."""
        memberships = []
        # By number, when they started: each may end, after it has started another, as soon as it was seen.
        marked: dict[int, int] = {}
        others = set(self._spared)
        for pids in listings():
            for pid in pids:
                environment = marked_environment(pid, self._mark)
                if environment is not None and is_detached(environment):
                    others.add(pid)
                elif (environment is not None or self._is_copy(pid)) and (start := start_time(pid)):
                    if is_thread(pid):
                        continue
                    marked[pid] = start
                with suppress(OSError):
                    memberships.append((pid, os.getsid(pid), os.getpgid(pid)))
            if marked:
                break
        own = self._own({number for pid, *numbers in memberships if pid in marked for number in numbers}, marked)
        processes = {process for process in self._met if process.pid not in others and process.lives()}
        processes.update(Identity(pid, start) for pid, start in marked.items() if pid not in others)
        for pid, session, group in memberships:
            if pid not in others and (session in own or group in own) and (start := start_time(pid)):
                processes.add(Identity(pid, start))
        return processes - self._immune, own - {group for pid, _, group in memberships if pid in others}

    def _own(self, numbers: Collection[int], marked: Collection[int]) -> set[int]:
        """Return those of the sessions and groups of marked processes that are the run's, and the commands' own."""
        # A session led by a living process without the mark is not the run's: a user has copied the environment.
        own = {number for number in numbers if number in marked or not start_time(number)}
        # The number of a command that has ended may be another process's by now.
        own.update(number for number in self._leaders if start_time(number) <= self._began)
        return own - self._foreign

    def _is_copy(self, pid: int) -> bool:
        """Return whether a snippet forked this process off the runner, and it has not become another program."""
        if self._runner.copy_mark is None:
            return False
        descriptor, *identity = self._runner.copy_mark
        return file_identity(pid, descriptor) == tuple(identity)

    def _signal(self, processes: Iterable[Identity], numbers: Sequence[signal.Signals]) -> None:
        for process in processes:
            try:
                signal_process(process, numbers)
            except ProcessLookupError:
                # It has ended meanwhile.
                continue
            except PermissionError:
                # It has become another user's (sudo): nothing can be done about it.
                self._immune.add(process)


def end_groups(groups: Iterable[int]) -> tuple[int, int]:
    """End the groups of the commands that ran, where there is no /proc. Return what ``Survivors.end`` returns."""
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
    """Return the lines that say what happened."""
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
    """Return what clears a terminal below the cursor, where only the runner may have had lines."""
    return b"\x1b[J" if os.isatty(2) and os.environ.get("TERM", "dumb") not in ("", "dumb") else b""


def main() -> None:
    """Run the emergency, once the runner has died.

    Arguments: the run's id; the runner's process, session and group; the table's descriptor there and here; the
    descriptor to which tokens are given back, or -1.
    """
    run_id, *numbers = sys.argv[1:]
    pid, session, group, table_there, table, tokens = map(int, numbers)
    # The shell may have taken something else for the end of the pipe: wait for the end itself.
    while os.read(0, 1):
        pass
    # A process that dies closes its descriptors some time before it gives up its children.
    died = os.getppid() != pid or not goes_on(pid)
    # A worker of a cluster runs a part of a run.
    name = "a worker" if ":" in run_id else "fastrun"
    cause = f"{name} died" if died else f"{name} has become another program or closed its descriptors"
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
        # The reader may be gone.
        while data:
            data = data[os.write(2, data) :]

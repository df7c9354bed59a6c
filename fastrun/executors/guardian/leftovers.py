"""Ends the processes that commands left behind, in whatever session and with whatever output.

At the end of a run, or what one attempt at a task has left before the next.

They are found by their mark. A process that was found once is waited for until it has ended, even if its mark is gone:
a dying process gives back its memory, and the mark with it, before it closes its files. Knows marks and signals; not
how commands are run.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from fastrun.executors.guardian.groups import group_of, live_groups, signal_process
from fastrun.executors.guardian.marks import (
    decode_name,
    encode_name,
    is_detached,
    mark,
    marked_environment,
    marked_processes,
)
from fastrun.executors.guardian.proc import Identity, goes_on
from fastrun.text import printable

# Seconds between looks at the end of a run, and most looks after a KILL: a second in all.
_PAUSE = 0.02
_LOOKS_AFTER_KILL = 50

# The same before the next attempt. Short, as the loop waits for it.
_SHORT_PAUSE = 0.001
_SHORT_LOOKS = 1000


async def end_leftovers(
    run_id: str,
    known: Collection[int],
    grace: float,
    warn: Callable[[str], None],
    named: set[bytes],
    *,
    of: Collection[bytes] | None = None,
    more: Callable[[], Iterable[tuple[Identity, bytes]]] = tuple,
    may_come: Callable[[], bool] = bool,
) -> None:
    """End the processes that tasks of a run have left.

    Name the tasks, send TERM and CONT, and KILL after ``grace`` seconds. Return when no such process is left.

    ``run_id``: their mark. ``known``: process groups that the caller ends. ``warn``: takes one line. ``named``: tasks
    that are not named again, to which those that are named are added. ``of``: the only tasks whose processes are
    ended; None for all. ``more``: returns processes that have no mark, with their tasks. ``may_come``: returns whether
    another may come to light that is not among these yet.

    A task is given as ``marks.encode_name`` writes its name.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    looks_left = _LOOKS_AFTER_KILL
    # None: a process that was reaped meanwhile.
    spared = {None, *known}
    met: set[Identity] = set()
    while looks_left:
        found = {
            one: task
            for one, task in marked_processes(run_id)
            if group_of(one.pid) not in spared and (of is None or task in of)
        }
        found.update(more())
        left = {*found, *_not_ended(met, run_id)}
        if not left and not may_come():
            return
        for process, task in found.items():
            if process not in met and task not in named and goes_on(process.pid):
                named.add(task)
                warn(f"{printable(decode_name(task))}: left a process behind; it is ended")
        killing = loop.time() - began >= grace
        if killing:
            _send(left, signal.SIGKILL)
        else:
            _send(left - met, signal.SIGTERM, signal.SIGCONT)
        met |= left
        looks_left -= killing
        await asyncio.sleep(_PAUSE)


def kill_leftovers(run_id: str, groups: Collection[int], name: str, others: Collection[int]) -> bool:
    """Kill what an attempt has left; return when it has ended, as a rule within a millisecond.

    ``run_id``: its mark. ``groups``: its process groups, which have been killed. ``name``: of its task. ``others``:
    sessions of commands that run.

    Returns False if some have not ended within a second, or the system does not tell.
    """
    task = encode_name(name)
    left: set[Identity] = set()
    for _ in range(_SHORT_LOOKS):
        left = set(_not_ended(left, run_id))
        left.update(one for one, its in marked_processes(run_id) if its == task and _session(one.pid) not in others)
        _send(left, signal.SIGKILL)
        if groups:
            live = live_groups()
            if live is None:
                return False
            groups = live.intersection(groups)
        if not left and not groups:
            return True
        time.sleep(_SHORT_PAUSE)
    return False


def _not_ended(processes: Iterable[Identity], run_id: str) -> list[Identity]:
    """Return the processes that live, but for any that has become detached since it was found."""
    wanted = mark(run_id)
    living = [process for process in processes if process.lives()]
    return [process for process in living if not is_detached(marked_environment(process.pid, wanted) or b"")]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _send(processes: Iterable[Identity], *numbers: signal.Signals) -> None:
    for process in processes:
        with suppress(OSError):
            signal_process(process, numbers)

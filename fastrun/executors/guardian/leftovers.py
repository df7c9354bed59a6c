"""Ends the processes that commands left behind, in whatever session and with whatever output.

At the end of a run, or what one attempt at a task has left before the next.

They are found by their mark. Knows marks and signals; not how commands are run.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from fastrun.executors.guardian.marks import is_detached, mark, marked_environment, marked_processes
from fastrun.text import printable

# Seconds between looks.
_PAUSE = 0.02

# The same where the loop waits.
_SHORT_PAUSE = 0.001

# Looks at what was killed, a second in all.
_LOOKS_AFTER_KILL = 50


async def end_leftovers(run_id: str, known: Collection[int], grace: float, warn: Callable[[str], None]) -> None:
    """Name them, send TERM and CONT, and KILL after so many seconds; return when none is left.

    ``run_id``: their mark. ``known``: process groups that somebody else looks after. ``warn``: takes one line.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    looks_left = _LOOKS_AFTER_KILL
    met: set[int] = set()
    named: set[str] = set()
    while looks_left and (found := [one for one in marked_processes(run_id) if _group(one[0]) not in known]):
        for pid, task in found:
            if loop.time() - began >= grace:
                _send(pid, run_id, signal.SIGKILL)
            elif pid not in met:
                _send(pid, run_id, signal.SIGTERM)
                _send(pid, run_id, signal.SIGCONT)
            met.add(pid)
            if task not in named:
                named.add(task)
                warn(f"{printable(task)}: left a process behind; it is ended")
        looks_left -= loop.time() - began >= grace
        await asyncio.sleep(_PAUSE)


def kill_leftovers(run_id: str, name: str, others: Collection[int]) -> None:
    """Kill those of one task, of which no command runs. Returns when none is left, as a rule within a millisecond.

    ``run_id``: their mark. ``name``: of the task, as ``FASTRUN_TASK`` says it. ``others``: sessions of those that run.
    """
    for _ in range(_LOOKS_AFTER_KILL):
        found = [pid for pid, task in marked_processes(run_id) if task == name and _session(pid) not in others]
        if not found:
            return
        for pid in found:
            _send(pid, run_id, signal.SIGKILL)
        time.sleep(_SHORT_PAUSE)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _send(pid: int, run_id: str, number: signal.Signals) -> None:
    """Send a signal, unless the process has ended and its number become somebody else's."""
    with suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            environment = marked_environment(pid, mark(run_id))
            if environment is not None and not is_detached(environment):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

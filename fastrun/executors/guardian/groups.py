"""Process groups: their members, and which have living ones; and signals, to a whole group or to a single process."""

import os
import signal
from collections.abc import Collection, Sequence
from contextlib import suppress

from fastrun.executors.guardian.proc import Identity, goes_on, process_ids, read_stat


def group_of(pid: int) -> int | None:
    """Return the group of a process, None if it is gone.

    0 is any group from outside of this container, fastrun's own if it was started from there.
    """
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a group, if it has members."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def signal_process(process: Identity, numbers: Sequence[signal.Signals]) -> None:
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
        if process.lives():
            for number in numbers:
                if descriptor >= 0:
                    signal.pidfd_send_signal(descriptor, number)
                else:
                    os.kill(process.pid, number)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def live_groups() -> set[int] | None:
    """Return the process groups with members that have not ended, or None where the system does not tell."""
    pids = process_ids()
    found = map(read_stat, pids)
    return {stat.pgrp for stat in found if stat is not None and not stat.has_ended} if pids else None


def staying_groups(groups: Collection[int]) -> set[int] | None:
    """Return those of some process groups with members that live and are not dying, None as above."""
    pids = process_ids()
    found = ((pid, read_stat(pid)) for pid in pids)
    staying = {stat.pgrp for pid, stat in found if stat is not None and stat.pgrp in groups and goes_on(pid)}
    return staying if pids else None

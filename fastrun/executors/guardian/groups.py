"""Process groups: who is alive in them, and signals to all of one."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a group, if there is still one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def has_ended(fields: Sequence[bytes]) -> bool:
    """Whether a process has, by what stands behind its name in /proc/PID/stat. Source: proc_pid_stat(5).

    One whose first thread has ended before the others looks like a zombie, and has more threads than one.
    """
    return fields[0] in (b"Z", b"X") and int(fields[17]) < 2


def live_groups() -> set[int] | None:
    """The process groups in which somebody is alive, or None where the system does not tell."""
    try:
        entries = [entry for entry in os.listdir("/proc") if entry.isdecimal()]
    except OSError:
        return None
    groups = set()
    for entry in entries:
        with suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
            # The name, in parentheses, may hold anything. Behind it: state, parent, group.
            fields = file.read().rpartition(b")")[2].split()
            if not has_ended(fields):
                groups.add(int(fields[2]))
    return groups

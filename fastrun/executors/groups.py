"""Process groups: who is alive in them, and signals to all of one."""

import os
import signal
from contextlib import suppress


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a group, if there is still one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


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
            if fields[0] not in (b"Z", b"X"):
                groups.add(int(fields[2]))
    return groups

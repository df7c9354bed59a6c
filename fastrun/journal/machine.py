"""The identity of this boot of the machine and of its processes, which tells an earlier run's processes from others."""

import os
import time

from fastrun.executors.guardian.proc import read_stat

# macOS has no such clock, and no /proc.
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(time, "CLOCK_BOOTTIME") else None


def boot_id() -> str:
    """Return a text that identifies this boot of the machine and this container's numbering of processes.

    Empty if the system does not tell: then no process id of an earlier run means anything.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def process_start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot. With the process id this is unique within a boot.

    None if there is no such process or no /proc. A zombie still has a start time.
    """
    found = read_stat(pid)
    return None if found is None else found.starttime


def ticks_now() -> int | None:
    """Return the time now on the clock of ``process_start_time``. A process seen before has not started later."""
    if _TICKS is None:
        return None
    # Rounded up, because the system rounds start times down.
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS) + 1

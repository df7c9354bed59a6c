"""Which machine this is, since when, and who a process is: what tells the processes of an earlier run from others."""

import os
import time

from fastrun.executors.guardian.proc import read_stat

# macOS has no such clock, and no /proc.
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(time, "CLOCK_BOOTTIME") else None


def boot_id() -> str:
    """What tells this boot of the machine, and where processes are numbered for containers this one, from all others.

    Empty where the system does not say: then no number of an earlier run means anything.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def process_start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since the boot: with its number it is unique within a boot.

    None if there is no such process or no /proc. A zombie still has one.
    """
    found = read_stat(pid)
    return None if found is None else found.starttime


def ticks_now() -> int | None:
    """Now, as ``process_start_time`` counts: a process that started later is not one that was seen before."""
    if _TICKS is None:
        return None
    # Rounded up, as that is rounded down.
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS) + 1

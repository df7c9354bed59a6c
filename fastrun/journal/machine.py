"""Which machine this is, since when, and who a process is: what tells the processes of an earlier run from others."""

import os
import time

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

    None if there is no such process or no /proc. A zombie still has one. See proc(5), field 22 of ``stat``.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The second field, the name, may hold blanks and parentheses; none of the others does.
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None


def ticks_now() -> int | None:
    """Now, as ``process_start_time`` counts: a process that started later is not one that was seen before."""
    if _TICKS is None:
        return None
    # Rounded up, as that is rounded down.
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS) + 1

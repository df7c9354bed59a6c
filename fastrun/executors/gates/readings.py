"""Readings of the machine's load and memory.

Reads files of Linux. Does not know what follows from the readings.
"""

import os

from fastrun.executors.guardian.proc import memory_of_sessions
from fastrun.executors.limits import group_folders

_KIB = 1024

# Bytes above which a limit means none: the older control groups give a number just below 2**63 for "max".
_NO_LIMIT = 1 << 62

# By version of control groups: the files with the most memory that a group may have and with what it has, and the key
# of its statistics for the part that the kernel gives up first.
_GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


class Machine:
    """The machine that this process runs on. A reading is None where the system does not tell."""

    def __init__(self, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> None:
        """``proc``, ``groups``: where its files are."""
        self._proc = proc
        folders = group_folders("memory", groups, os.path.join(proc, "self/cgroup"))
        self._groups = [
            (folder, files)
            for folder in folders
            for files in _GROUP_FILES
            if os.path.exists(os.path.join(folder, files[0]))
        ]

    def load(self) -> float | None:
        """Return the load average of the last minute or, if more, the number of threads that run or could run now.

        The average alone lags behind: a thousand commands could be started before it shows the first.
        """
        text = self._read("loadavg")
        if text is not None:
            return parse_load(text)
        try:
            return os.getloadavg()[0]
        except OSError:
            return None

    def available_memory(self) -> int | None:
        """Return the bytes that can be had without swapping, of the machine and within its control groups."""
        text = self._read("meminfo")
        # Kernels before 3.14 do not say what is available.
        found = [] if text is None else [parse_memory(text, "MemAvailable:")]
        found += [_left_to_group(folder, *files) for folder, files in self._groups]
        return min((number for number in found if number is not None), default=None)

    def total_memory(self) -> int | None:
        """Return the bytes that the machine has, or the least limit of its control groups."""
        text = self._read("meminfo")
        found = [] if text is None else [parse_memory(text, "MemTotal:")]
        found += [_limit_of_group(folder, files[0]) for folder, files in self._groups]
        return min((number for number in found if number is not None), default=None)

    def memory_of_sessions(self) -> dict[int, int]:
        """Return by session the bytes that its processes have in memory."""
        return memory_of_sessions(self._proc)

    def memory_pressure(self) -> float | None:
        """Return the percentage of the last ten seconds in which some process waited for memory."""
        text = self._read("pressure/memory")
        return None if text is None else parse_pressure(text)

    def _read(self, name: str) -> str | None:
        return _read(os.path.join(self._proc, name))


def parse_load(text: str) -> float | None:
    """Return what ``Machine.load`` is, from /proc/loadavg: ``0.20 0.18 0.12 3/80 11206``."""
    try:
        average, _, _, threads, *_ = text.split()
        return max(float(average), float(threads.partition("/")[0]))
    except ValueError:
        return None


def parse_memory(text: str, key: str) -> int | None:
    """Return the bytes that the text of /proc/meminfo says behind a key, such as ``MemAvailable:``."""
    number = _field(text, key)
    return None if number is None else int(number) * _KIB


def parse_pressure(text: str) -> float | None:
    """Return what ``Machine.memory_pressure`` is, from /proc/pressure/memory: ``some avg10=0.00 avg60=...``."""
    number = _field(text.replace("=", " "), "some avg10")
    return None if number is None else float(number)


def left_to_group(most: int, now: str, statistics: str, idle_key: str) -> int | None:
    """Return the bytes that a control group may still have of ``most``, by the texts of its files; None if unknown.

    Pages of files that it has not used of late count as free, because the kernel gives them up first.
    """
    try:
        used = int(now) - int(_field(statistics, f"{idle_key} ") or 0)
        return max(most - used, 0)
    except ValueError:
        return None


def _left_to_group(folder: str, most_name: str, now_name: str, idle_key: str) -> int | None:
    most = _limit_of_group(folder, most_name)
    if most is None:
        # Most groups have no limit: then the other files, which take longer to read, are of no use.
        return None
    now, statistics = (_read(os.path.join(folder, name)) or "" for name in (now_name, "memory.stat"))
    return left_to_group(most, now, statistics, idle_key)


def _limit_of_group(folder: str, name: str) -> int | None:
    """Return the most bytes that a control group may have, None for no limit, which newer ones call "max"."""
    text = (_read(os.path.join(folder, name)) or "").strip()
    return int(text) if text.isdigit() and int(text) <= _NO_LIMIT else None


def _field(text: str, key: str) -> str | None:
    """Return the number, as text, behind the key at the beginning of a line."""
    for line in text.splitlines():
        if line.startswith(key):
            number = line[len(key) :].split()[:1]
            return number[0] if number and number[0].replace(".", "", 1).isdigit() else None
    return None


def _read(path: str) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("ascii", "replace")
    except OSError:
        return None

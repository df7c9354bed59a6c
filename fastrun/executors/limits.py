"""How many processes the system grants at once, and how many processors.

Knows the limits of this process and of its control groups. The number is the most there can be: if the system grants
less, a spawn fails, and the executor learns from that.
"""

import os
import resource
from collections.abc import Iterator
from math import ceil

# Descriptors and processes left for snippets, spools and what libraries open.
_DESCRIPTORS_SPARED = 64
_PROCESSES_SPARED = 16


def granted_processes(descriptors_each: int) -> int:
    """Return the number of processes, at least 1, that file descriptors and ``pids.max`` leave room for."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    grants = [(soft - _open_descriptors() - _DESCRIPTORS_SPARED) // descriptors_each]
    grants += [most - now - _PROCESSES_SPARED for most, now in _control_groups()]
    return max(1, min(grants))


def processors(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> int:
    """Return how many processors this process may use: by its affinity and by the quota of its control groups."""
    try:
        found = len(os.sched_getaffinity(0))
    except AttributeError:
        found = os.cpu_count() or 1
    return max(1, min([found, *_quotas(root, own)]))


def _quotas(root: str, own: str) -> Iterator[int]:
    """Yield the processors that each control group grants, rounded up."""
    for folder in group_folders("cpu", root, own):
        # Version 2 has both numbers in one file, version 1 in two. No quota is "max", or -1.
        numbers = _numbers(folder, "cpu.max") or [
            *_numbers(folder, "cpu.cfs_quota_us"),
            *_numbers(folder, "cpu.cfs_period_us"),
        ]
        if len(numbers) == 2 and min(numbers) > 0:
            yield ceil(numbers[0] / numbers[1])


def _open_descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 32


def group_folders(controller: str, root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> list[str]:
    """Return the folders of this process's control groups with a controller's files, both versions, up to the top."""
    try:
        with open(own) as file:
            rows = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return []
    found = []
    for _, controllers, path in rows:
        if controllers and controller not in controllers.split(","):
            continue
        top = os.path.join(root, controllers)
        folder = os.path.join(top, path.lstrip("/"))
        while len(folder) >= len(top):
            found.append(folder)
            folder = os.path.dirname(folder.rstrip("/"))
    return found


def _control_groups(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> list[tuple[int, int]]:
    """Return ``pids.max`` and ``pids.current`` of this process's control groups."""
    found = []
    for folder in group_folders("pids", root, own):
        most, now = _number(folder, "pids.max"), _number(folder, "pids.current")
        if most is not None and now is not None:
            found.append((most, now))
    return found


def _number(folder: str, name: str) -> int | None:
    return next(iter(_numbers(folder, name)), None)


def _numbers(folder: str, name: str) -> list[int]:
    try:
        with open(os.path.join(folder, name)) as file:
            return list(map(int, file.read().split()))
    except (OSError, ValueError):
        # Not there, or "max".
        return []

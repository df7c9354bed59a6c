"""How many processes the system grants at once.

Knows the limits of this process and of its control groups. The number is the most there can be: if the system grants
less, a spawn fails, and the executor learns from that.
"""

import os
import resource

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
        if not os.path.isdir(top):
            # The kernel's order of controllers is not always that of the folder's name, which links lead to.
            top = os.path.join(root, controller)
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
    try:
        with open(os.path.join(folder, name)) as file:
            return int(file.read())
    except (OSError, ValueError):
        # Not there, or "max".
        return None


def processors(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> int:
    """Return how many processors this process may use, at least 1: by its affinity, and by its groups' quota.

    Source: the kernel's cgroup-v2 (``cpu.max``) and sched-bwc (``cpu.cfs_quota_us``).
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        count = os.cpu_count() or 1
    for folder in group_folders("cpu", root, own):
        words = _words(folder, "cpu.max") or _words(folder, "cpu.cfs_quota_us") + _words(folder, "cpu.cfs_period_us")
        # Without a limit, the quota is "max" or -1.
        if len(words) == 2 and words[0].isdecimal() and int(words[1]):
            count = min(count, -(-int(words[0]) // int(words[1])))
    return max(1, count)


def _words(folder: str, name: str) -> list[str]:
    try:
        with open(os.path.join(folder, name)) as file:
            return file.read().split()
    except OSError:
        return []

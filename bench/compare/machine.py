"""Facts that a figure depends on: versions, the machine and the day."""

import os
import platform
from datetime import UTC, datetime

import fastrun
from bench.compare.peers import Unavailable, find_peer, package_version


def facts() -> dict[str, str]:
    """Return versions, the machine and the day, by name."""
    return {
        "fastrun": fastrun.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": package_version("uvloop"),
        "orjson": package_version("orjson"),
        "ninja": peer_version("ninja"),
        "machine": f"{platform.platform()} {platform.machine()}",
        "processor": _processor(),
        "cpus": str(_cpus()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def peer_version(module: str) -> str:
    """Return the version of a peer, or why it is unavailable."""
    try:
        return find_peer(module).version()
    except Unavailable as error:
        return str(error)


def _cpus() -> int:
    """Count the processors that this process may use: in a container fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _processor() -> str:
    """Return the name of the processor; without /proc/cpuinfo what Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "unknown"

"""What a figure depends on beside the program: versions and the machine."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import fastrun
from bench.measure import Unavailable
from bench.ninja import find_ninja, ninja_version


def facts() -> dict[str, str]:
    """Versions and the machine, by name."""
    return {
        "fastrun": fastrun.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": _package_version("uvloop"),
        "orjson": _package_version("orjson"),
        "ninja": _ninja(),
        "machine": f"{platform.platform()} {platform.machine()}",
        "cpus": str(_cpus()),
    }


def _package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _ninja() -> str:
    try:
        return ninja_version(find_ninja())
    except Unavailable as error:
        return str(error)


def _cpus() -> int:
    """The processors that this process may use: in a container fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1

"""Every test gives back what it took: threads, descriptors, children, streams."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support.amounts import COUNTS, begin_stress

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stress", action="store_true", help="the long form of what is random, in ten minutes")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--stress"):
        begin_stress()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--stress"):
        terminalreporter.section("counts")
        for what, count in COUNTS.items():
            terminalreporter.write_line(f"{count:>8,}  {what}")


# How fast the machine is decides no test.
settings.register_profile("fastrun", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fastrun")

# Who runs the tests may be a make: its job slots are none of their business.
os.environ.pop("MAKEFLAGS", None)
# What is tested is not what the tests run in.
os.environ.pop("GITHUB_ACTIONS", None)

# libuv makes a pipe for signals with its first loop and keeps it for the life of the process.
uvloop.new_event_loop().close()


def _descriptors() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            # The one that the listing itself used.
            continue
    return found


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    descriptors = _descriptors()
    streams = (sys.stdout, sys.stderr, threading.Thread.start)
    yield
    if _descriptors() != descriptors:
        # What only a cycle keeps open is Python's to close.
        gc.collect()
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("fastrun-")]
    assert not threads
    assert _descriptors() == descriptors
    assert (sys.stdout, sys.stderr, threading.Thread.start) == streams
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)

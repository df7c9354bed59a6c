"""What holds for every test: the long form, Hypothesis, the environment, and that nothing is left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support.amounts import COUNTS, begin_stress
from tests.support.leftovers import _nothing_left_over, pytest_runtest_call  # noqa: F401  # for every test

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stress", action="store_true", help="the long form of what is random, in ten minutes")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--stress"):
        begin_stress()
    # A script's background jobs ignore these, and the processes of the tests would do so too.
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--stress"):
        terminalreporter.section("counts")
        for what, count in COUNTS.items():
            terminalreporter.write_line(f"{count:>8,}  {what}")


@pytest.fixture
def unmeasured_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no process measured that a test starts: those that multiprocessing spawns fail then, again and again."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
        monkeypatch.delenv(name)


def _memory_lock(mode: int) -> Iterator[None]:
    with open(os.path.join(tempfile.gettempdir(), "fastrun-tests-memory.lock"), "w") as file:
        fcntl.flock(file, mode)
        yield


@pytest.fixture
def memory_short() -> Iterator[None]:
    """Have no test beside this one that uses ``memory_kept``: the kernel may count kills for their processes too."""
    yield from _memory_lock(fcntl.LOCK_EX)


@pytest.fixture
def memory_kept() -> Iterator[None]:
    """Have no test beside this one in which the kernel kills for want of memory."""
    yield from _memory_lock(fcntl.LOCK_SH)


# How fast the machine is decides no test.
settings.register_profile("fastrun", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fastrun")

# A make may run the tests, whose job slots are not theirs.
os.environ.pop("MAKEFLAGS", None)
# Output depends on it.
os.environ.pop("GITHUB_ACTIONS", None)

# libuv makes a pipe for signals with its first loop and keeps it for the life of the process.
uvloop.new_event_loop().close()

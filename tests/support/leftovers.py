"""A fixture that fails a test for what it leaves behind, and removes that, so that the next test starts clean.

Processes are known by a mark in their environment, which descendants inherit, or as children of this process.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "FASTRUN_TEST"

# Most seconds for processes that are about to end, such as those that a guardian has just killed.
_PATIENCE = 10.0

# Descriptors that earlier tests left open: each is the null device until its owner closes it.
_given_up: set[int] = set()

_numbers = iter(range(sys.maxsize))


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        # The listing itself used a descriptor that is closed by now.
        with suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    _given_up.intersection_update(found)
    return {number: path for number, path in found.items() if number not in _given_up or path != os.devnull}


def _processes() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}


def _is_child(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1]) == os.getpid()
    return False


def _is_marked(pid: int, mark: bytes) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return mark in file.read().split(b"\0") and alive(pid)
    return False


def _name(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return f"{pid} {file.read().replace(bytes(1), b' ').decode(errors='replace').strip()}"
    return str(pid)


def _left_processes(before: set[int], mark: str) -> list[int]:
    """Return the test's processes: unreaped children at once, other descendants once they have had time to end."""
    end = time.monotonic() + _PATIENCE
    while True:
        new = sorted(_processes() - before)
        children = [pid for pid in new if _is_child(pid)]
        marked = [pid for pid in new if _is_marked(pid, os.fsencode(mark))]
        if children or not marked or time.monotonic() > end:
            return sorted({*children, *marked})
        time.sleep(0.001)


def _end(pid: int) -> None:
    child = _is_child(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if child:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    else:
        wait_for(lambda: not alive(pid))


def _give_up(descriptor: int) -> None:
    """Release what a descriptor is open on. Its number stays taken: its owner may close it at any time."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor, inheritable=False)
    os.close(null)
    _given_up.add(descriptor)


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    mark = os.environ[MARK] = f"{os.getpid()}-{next(_numbers)}"
    processes, descriptors, threads = _processes(), _descriptors(), set(threading.enumerate())
    start: Any = threading.Thread.start
    yield
    problems = []
    if left := _left_processes(processes, f"{MARK}={mark}"):
        problems.append(f"processes: {', '.join(map(_name, left))}")
        for pid in left:
            _end(pid)
    if _descriptors() != descriptors:
        # Descriptors that only a cycle keeps open are Python's to close.
        gc.collect()
    now = _descriptors()
    if now != descriptors:
        problems.append(f"descriptors: {dict(now.items() ^ descriptors.items())}")
        for descriptor in now.keys() - descriptors.keys():
            _give_up(descriptor)
    names = [thread.name for thread in set(threading.enumerate()) - threads if thread.name.startswith("fastrun-")]
    if names:
        problems.append(f"threads: {names}")
    if threading.Thread.start is not start:
        problems.append("another Thread.start")
        threading.Thread.start = start  # type: ignore[method-assign]
    assert not problems, f"the test left behind: {'; '.join(problems)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Compare the streams around the test itself: behind it pytest's capture puts its own back."""
    before = sys.stdout, sys.stderr
    yield
    after = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = before
    assert after == before, "the test left behind: other streams"

"""Real leftovers of a run that has no commands any more, ended in the process of the test."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from fastrun.executors.guardian import leftovers
from fastrun.executors.guardian.leftovers import end_leftovers
from tests.support.processes import LIMIT, WITHOUT_MARK, alive

RUN = os.urandom(8).hex()


@pytest.fixture
def start():
    """Starts a marked process in a session of its own and waits for its first line. Kills it at the end."""
    with ExitStack() as stack:

        def begin(*command: str) -> int:
            variables = {**os.environ, "FASTRUN_RUN_ID": RUN, "FASTRUN_TASK": "a"}
            process = subprocess.Popen(command, stdout=subprocess.PIPE, env=variables, start_new_session=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            return process.pid

        yield begin


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Wait for a process that was killed, however long that takes on a busy machine."""
    monkeypatch.setattr(leftovers, "_LOOKS_AFTER_KILL", int(LIMIT / leftovers._PAUSE))


def end(grace: float = 60.0, known: frozenset[int] = frozenset()) -> list[str]:
    """End what is left. Returns the warnings."""
    warnings: list[str] = []
    asyncio.run(end_leftovers(RUN, known, grace, warnings.append, set()))
    return warnings


@pytest.mark.parametrize("ignored", ["", "TERM"])
def test_leftovers_are_named_once_and_ended(start, ignored):
    pids = [start("sh", "-c", f"trap '' {ignored}; echo; exec sleep 1000") for _ in range(2)]
    assert end(0.1 if ignored else 60.0) == ["a: left a process behind; it is ended"]
    assert not any(map(alive, pids))


def test_a_process_that_was_reaped_meanwhile_is_no_leftover(start, monkeypatch):
    pid = start("sh", "-c", "echo; exec sleep 1000")

    def reaped(_: int) -> int:
        raise ProcessLookupError

    # As a member of a known group that dies just after its mark was seen.
    monkeypatch.setattr(os, "getpgid", reaped)
    assert end(known=frozenset([pid])) == []


def test_a_process_that_is_dying_is_not_named(start, monkeypatch):
    pids = [start("sh", "-c", "echo; exec sleep 1000") for _ in range(30)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert end() == []
    assert not any(map(alive, pids))


def test_a_process_that_loses_its_mark_is_waited_for_and_killed(start):
    pid = start(sys.executable, "-c", WITHOUT_MARK)
    assert end(0.1) == ["a: left a process behind; it is ended"]
    assert not alive(pid)

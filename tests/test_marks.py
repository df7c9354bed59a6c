"""Real processes with marks in their environments, whole, hidden and hardly there."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager

import pytest

from fastrun.executors.marks import is_detached, mark, marked_environment, marked_processes

RUN = os.urandom(8).hex()


@contextmanager
def sleeper(*variables: str):
    """A process with exactly these variables, in this order. Yields its id."""
    # A shell that waits by itself: one that becomes another program has no environment for a moment.
    command = ["/usr/bin/env", "-i", *variables, "sh", "-c", "echo; read -r line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def test_marked_processes_are_found_with_the_names_of_their_tasks():
    with (
        sleeper(f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=größe 1") as first,
        sleeper("A=1", f"FASTRUN_RUN_ID={RUN}") as second,
    ):
        assert sorted(marked_processes(RUN)) == sorted([(first, "größe 1"), (second, "")])
    assert marked_processes(RUN) == []


@pytest.mark.parametrize(
    "variables",
    [
        ["FASTRUN_RUN_ID=0123456789abcdef"],
        [f"FASTRUN_RUN_ID={RUN}0"],
        [f"X_FASTRUN_RUN_ID={RUN}"],
        [f"A=FASTRUN_RUN_ID={RUN}"],
        [f"FASTRUN_RUN_ID={RUN}", "FASTRUN_DETACH=1"],
        ["FASTRUN_DETACH=1", f"FASTRUN_RUN_ID={RUN}"],
    ],
)
def test_processes_without_the_mark_and_detached_ones_are_not_found(variables):
    with sleeper(*variables):
        assert marked_processes(RUN) == []


def test_a_name_that_is_not_utf_8_is_replaced():
    with sleeper(f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=a\udcff") as pid:
        assert marked_processes(RUN) == [(pid, "a\ufffd")]


@pytest.mark.parametrize("size", [65_000, 1 << 16, 100_000])
def test_the_mark_is_found_behind_a_large_variable(size):
    with sleeper("A=" + "x" * size, f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=a") as pid:
        assert marked_processes(RUN) == [(pid, "a")]


def test_a_process_that_has_ended_has_no_environment():
    with sleeper(f"FASTRUN_RUN_ID={RUN}") as pid:
        assert marked_environment(pid, mark(RUN)) is not None
    assert marked_environment(pid, mark(RUN)) is None


def test_only_one_detaches():
    assert is_detached(b"\0A=2\0FASTRUN_DETACH=1\0")
    assert not is_detached(b"\0FASTRUN_DETACH=\0")
    assert not is_detached(b"\0A=FASTRUN_DETACH=1\0")

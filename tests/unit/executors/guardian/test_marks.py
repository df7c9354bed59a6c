"""Real processes with marks in their environments, whole, hidden and hardly there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from fastrun.executors.guardian.marks import (
    decode_name,
    encode_name,
    is_detached,
    mark,
    marked_environment,
    marked_processes,
)
from tests.support.processes import LIMIT, WITHOUT_FIRST_THREAD, environment, wait_for

RUN = os.urandom(8).hex()


@contextmanager
def sleeper(*variables: str):
    """A process with exactly these variables, in this order. Yields its id."""
    command = ["/usr/bin/env", "-i", *variables, "sh", "-c", "echo; read -r line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def found() -> list[tuple[int, str]]:
    """The ids of the run's processes, in order, and the names of their tasks."""
    return sorted((process.pid, decode_name(task)) for process, task in marked_processes(RUN))


def test_marked_processes_are_found_with_the_names_of_their_tasks():
    with (
        sleeper(f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=größe 1") as first,
        sleeper("A=1", f"FASTRUN_RUN_ID={RUN}") as second,
    ):
        assert found() == sorted([(first, "größe 1"), (second, "")])
    assert found() == []


@pytest.mark.parametrize(
    "variables",
    [
        [f"FASTRUN_RUN_ID={os.urandom(8).hex()}"],
        [f"FASTRUN_RUN_ID={RUN}0"],
        [f"X_FASTRUN_RUN_ID={RUN}"],
        [f"A=FASTRUN_RUN_ID={RUN}"],
        [f"FASTRUN_RUN_ID={RUN}", "FASTRUN_DETACH=1"],
        ["FASTRUN_DETACH=1", f"FASTRUN_RUN_ID={RUN}"],
    ],
)
def test_processes_without_the_mark_and_detached_ones_are_not_found(variables):
    with sleeper(*variables):
        assert found() == []


# Starts a command that has the mark and looks for it: the marks found, of which there is to be only one.
RESTLESS = f"""
import subprocess
from fastrun.executors.guardian import proc
from fastrun.executors.guardian.marks import marked_processes
# However long a busy machine keeps it in the middle of its exec.
proc._LOOKS = {1000 * LIMIT}
with subprocess.Popen(["sh", "restless"], env={{"PATH": {os.environ["PATH"]!r}, "FASTRUN_RUN_ID": {RUN!r}}}) as process:
    try:
        found = [[(one.pid, task) for one, task in marked_processes({RUN!r})] for _ in range(200)]
    finally:
        process.kill()
print(found == [[(process.pid, b"")]] * 200)
"""

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.mark.parametrize("prefix", [[], NAMESPACE], ids=["here", "in a container that it came into from outside"])
def test_process_that_keeps_becoming_another_program_is_found_at_each_look(tmp_path, prefix):
    if prefix and subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no namespaces may be made here")
    (tmp_path / "restless").write_text('exec sh "$0"')
    result = subprocess.run(
        [*prefix, sys.executable, "-c", RESTLESS],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("True\n", "")


# Each of its processes starts the next, and ends.
CHAIN = "import os\nprint(flush=True)\nfor _ in range(100_000): os.fork() and os._exit(0)"


def test_process_that_keeps_starting_its_successor_is_found_at_each_look():
    command = [sys.executable, "-SEc", CHAIN]
    variables = {**os.environ, "FASTRUN_RUN_ID": RUN}
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, env=variables) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert all(found() for _ in range(100))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            wait_for(lambda: not found())


def test_process_without_its_first_thread_is_found():
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_FIRST_THREAD], env={**os.environ, "FASTRUN_RUN_ID": RUN, "FASTRUN_TASK": "a"}
    ) as process:
        try:
            wait_for(lambda: not os.path.exists(f"/proc/{process.pid}/exe"))
            assert found() == [(process.pid, "a")]
        finally:
            process.kill()
    assert found() == []


def test_process_with_an_empty_environment_is_unmarked():
    with subprocess.Popen(["sleep", "1000"], env={}) as process:
        try:
            assert found() == []
        finally:
            process.kill()


def test_a_name_that_is_not_utf_8_is_replaced():
    with sleeper(f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=a\udcff") as pid:
        assert found() == [(pid, "a\ufffd")]


@pytest.mark.parametrize("size", [65_000, 1 << 16, 100_000])
def test_the_mark_is_found_behind_a_large_variable(size):
    with sleeper("A=" + "x" * size, f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=a") as pid:
        assert found() == [(pid, "a")]


def test_a_process_that_has_ended_has_no_environment():
    with sleeper(f"FASTRUN_RUN_ID={RUN}") as pid:
        assert marked_environment(pid, mark(RUN)) is not None
    assert marked_environment(pid, mark(RUN)) is None


def test_only_one_detaches():
    assert is_detached(b"\0A=2\0FASTRUN_DETACH=1\0")
    assert not is_detached(b"\0FASTRUN_DETACH=\0")
    assert not is_detached(b"\0A=FASTRUN_DETACH=1\0")


@pytest.mark.parametrize("name", ["a", "größe\n1", "x" * 300, "a\0b", "\0", "a\\x00b", "\ufffd"])
def test_a_name_comes_back_whole_from_its_variable(name):
    value = encode_name(name)
    assert b"\0" not in value
    assert decode_name(value) == name


def test_a_name_without_room_in_the_environment_is_cut_to_what_has_room():
    with sleeper(f"FASTRUN_RUN_ID={RUN}", "FASTRUN_TASK=" + encode_name("x" * 200_000).decode()) as pid:
        assert found() == [(pid, "x" * (131_072 - len("FASTRUN_TASK=") - 1))]

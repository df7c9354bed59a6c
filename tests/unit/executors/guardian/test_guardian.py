"""Real runners that die in every way, and what is then left of their tasks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Self

import pytest

from fastrun.executors.guardian import guardian as module
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.proc import read_stat
from fastrun.executors.guardian.table import EVAL
from tests.support.documents import document, exec_, write_json
from tests.support.processes import LIMIT, alive, environment

# What a runner does, without running anything: its scenario starts processes as tasks would, prints what the test
# has to know of them, and then does what it is told on its standard input.
RUNNER = """
import ctypes, json, os, signal, subprocess, sys
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.present import PRESENT
from fastrun.executors.guardian.table import EVAL, EXEC

run_id, scenario = sys.argv[1:]
guardian = Guardian(run_id)
guardian.start()
pids = {}

def task(name, command, *, marked=True, listed=False, session=True, **variables):
    "Start a command, whose first line is the id of the process that is asked after."
    mark = {"FASTRUN_RUN_ID": run_id} if marked else {}
    process = subprocess.Popen(
        command if isinstance(command, list) else ["/bin/sh", "-c", command], env={**os.environ, **mark, **variables},
        start_new_session=session, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listed:
        guardian.table.add(EXEC, process.pid, name)
    line = process.stdout.readline()
    pids[name] = json.loads(line)
    return process

def copy():
    "A copy of the runner that waits."
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 2)
        while True:
            signal.pause()
    return pid

exec(scenario)
print(json.dumps(pids), flush=True)
exec(sys.stdin.readline())
sys.stdin.readline()
"""

# Processes of every kind that are to be ended. A shell that waits before it execs has given its children its place.
TASKS = r"""
task("plain", "echo $$; exec sleep 1000", listed=True)
task("daemon", "setsid sh -c 'echo $$; exec sleep 1000' &").wait()
task("deaf", "trap '' TERM; echo $$; exec sleep 1000", listed=True)
task("stopped", "echo $$; kill -STOP $$; exec sleep 1000", listed=True)
task("bare", "exec env -i sh -c 'echo $$; exec sleep 1000'", listed=True)
task("bare child of a marked leader", "env -i sh -c 'echo $$; exec sleep 1000' & wait")
task("bare child of a leader that has gone", "sleep 1000 & env -i sh -c 'echo $$; exec sleep 1000' &").wait()
task("child of a snippet", "echo $$; exec sleep 1000", session=False)
"""

# And processes that are not.
OTHERS = r"""
task("detached", "echo $$; exec sleep 1000", FASTRUN_DETACH="1")
task("neighbour in the runner's group", "echo $$; exec sleep 1000", marked=False, session=False)
task("another run's", "echo $$; exec sleep 1000", FASTRUN_RUN_ID=os.urandom(8).hex())
"""

DEATHS = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "exits": "os._exit(0)",
    "crashes": "signal.signal(signal.SIGSEGV, signal.SIG_DFL); ctypes.string_at(0)",
    "terminated": "os.kill(os.getpid(), signal.SIGTERM)",
}


class Runner:
    """A runner in a session of its own: what ends too much does not end the tests."""

    def __init__(self, scenario: str, **options) -> None:
        self.run_id = os.urandom(8).hex()
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, self.run_id, scenario],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **{"stderr": subprocess.PIPE, "env": environment(), **options},
        )
        self._timer = threading.Timer(LIMIT, self.process.kill)
        self._timer.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.pids: dict[str, int] = json.loads(line) if line else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._timer.cancel()
        self._timer.join()
        for pid in self.pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with self.process:
            self.process.kill()

    def tell(self, code: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{code}\n".encode())
        self.process.stdin.flush()

    def living(self) -> set[str]:
        return {name for name, pid in self.pids.items() if alive(pid)}

    def errors(self) -> list[str]:
        """Standard error, to the end of all who have it: the guardian's too."""
        assert self.process.stderr is not None
        text: bytes = self.process.stderr.read()
        return text.decode().splitlines()


def wait_until(condition, seconds: float = LIMIT) -> bool:
    """Whether something came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_guardian_ends_all_that_a_dead_runner_leaves(death):
    with Runner(TASKS + OTHERS) as runner:
        assert runner.living() == set(runner.pids)
        tasks = set(runner.pids) - {"detached", "neighbour in the runner's group", "another run's"}
        assert len(tasks) == 8
        runner.tell(death)
        runner.process.wait(LIMIT)
        assert wait_until(lambda: not tasks & runner.living())
        errors = runner.errors()
        # The leader of a bare child's session, and the one marked child of a leader that has gone.
        assert errors[-2:] == [
            "fastrun: fastrun died; ended 10 processes of its tasks",
            "fastrun: commands that ran then: plain, deaf, stopped, bare",
        ]
        assert runner.living() == set(runner.pids) - tasks


def test_the_snippets_that_ran_are_named():
    scenario = """
rows = [guardian.table.add(EVAL, 0, name) for name in "abc"]
guardian.table.remove(rows[1])
"""
    with Runner(scenario) as runner:
        runner.tell(DEATHS["exits"])
        assert runner.errors() == [
            "fastrun: fastrun died; ended 0 processes of its tasks",
            "fastrun: snippets that ran then: a, c",
        ]


def test_a_clean_stop_says_nothing_and_leaves_nothing():
    with Runner('task("plain", "echo $$; exec sleep 1000", listed=True)') as runner:
        runner.tell("guardian.stop(); os._exit(0)")
        assert runner.errors() == []
        assert runner.living() == {"plain"}


def test_a_copy_of_the_runner_does_not_keep_the_guardian_from_noticing():
    scenario = 'task("plain", "echo $$; exec sleep 1000"); pids["copy"] = copy()'
    with Runner(scenario) as runner:
        runner.tell(DEATHS["killed"])
        assert runner.errors() == ["fastrun: fastrun died; ended 1 process of its tasks"]
        # Whoever made it: not a snippet.
        assert runner.living() == {"copy"}


def test_a_copy_that_a_snippet_made_is_a_process_of_its_task():
    scenario = 'PRESENT.program = object(); pids["copy"] = copy()'
    with Runner(scenario) as runner:
        runner.tell(DEATHS["killed"])
        assert runner.errors() == ["fastrun: fastrun died; ended 1 process of its tasks"]
        assert runner.living() == set()


@pytest.mark.parametrize("context", ["", "PRESENT.program = object()"])
def test_a_copy_can_neither_stop_the_guardian_nor_change_the_table(context):
    scenario = f"""
{context}
row = guardian.table.add(EVAL, 0, "a")
pid = os.fork()
if not pid:
    guardian.table.remove(row)
    guardian.table.add(EVAL, 0, "b")
    guardian.stop()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
"""
    with Runner(scenario) as runner:
        runner.tell(DEATHS["killed"])
        assert runner.errors()[-1] == "fastrun: snippets that ran then: a"


def test_a_runner_that_becomes_another_program_has_given_its_tasks_up():
    scenario = """
pids["runner"] = os.getpid()
task("plain", "echo $$; exec sleep 1000")
"""
    with Runner(scenario) as runner:
        runner.tell("os.execv('/bin/sleep', ['sleep', '1000'])")
        assert wait_until(lambda: runner.living() == {"runner"})
        runner.process.kill()
        assert runner.errors() == [
            "fastrun: fastrun has become another program or closed its descriptors; ended 1 process of its tasks"
        ]


def test_the_tasks_of_a_runner_that_was_a_task_itself_are_ended_as_well():
    scenario = f"""
task("inner runner", [sys.executable, "-c", {RUNNER!r}, os.urandom(8).hex(), '''
task("inner", "echo $$; exec sleep 1000")
print(pids["inner"], flush=True)
# It has no input, at whose end it would end as well.
signal.pause()
'''], listed=True)
"""
    with Runner(scenario) as runner:
        pid = runner.pids["inner runner"]
        assert alive(pid)
        runner.tell(DEATHS["killed"])
        assert wait_until(lambda: not alive(pid))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_signals_that_end_a_run_do_not_end_the_guardian(number):
    """Neither in its first moment nor later."""
    scenario = f"""
os.killpg(guardian._pid, {number})
task("plain", "echo $$; exec sleep 1000")
os.killpg(guardian._pid, {number})
"""
    with Runner(scenario) as runner:
        runner.tell(DEATHS["killed"])
        assert runner.errors() == ["fastrun: fastrun died; ended 1 process of its tasks"]


def test_run_needs_no_observer():
    read_end, write_end = os.pipe()
    with Runner('task("plain", "echo $$; exec sleep 1000")', stderr=write_end) as runner:
        os.close(write_end)
        os.close(read_end)
        runner.tell(DEATHS["killed"])
        assert wait_until(lambda: not runner.living())


@pytest.fixture
def guardian():
    guardian = Guardian(os.urandom(8).hex())
    yield guardian
    guardian.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_dead_or_stopped_guardian_does_not_hold_up_the_run(guardian, number):
    guardian.start()
    pid = guardian._pid
    os.kill(pid, number)
    guardian.table.remove(guardian.table.add(EVAL, 0, "a"))
    guardian.stop()
    assert not alive(pid)


def test_guardian_whose_status_was_taken_does_not_hold_up_the_run(guardian):
    guardian.start()
    os.kill(guardian._pid, signal.SIGKILL)
    os.waitpid(guardian._pid, 0)
    guardian.stop()


def test_pipe_that_a_snippet_has_closed_does_not_hold_up_the_run(guardian):
    guardian.start()
    os.kill(guardian._pid, signal.SIGSTOP)
    os.close(guardian._pipe)
    guardian.stop()


def _waits(pid: int) -> bool:
    """Whether a process sleeps until something comes, as the guardian does once it reads from its pipe."""
    found = read_stat(pid)
    return found is not None and found.state == b"S"


def _open_files(pid: int) -> list[str]:
    """What a process has open, but for which pipe it is."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            path = os.readlink(f"/proc/{pid}/fd/{name}")
            found.append("pipe:" if path.startswith("pipe:") and name != "2" else path)
    return sorted(found)


@pytest.mark.parametrize("listed", [True, False])
def test_the_guardian_has_no_mark_and_no_descriptors_but_its_own(guardian, listed, monkeypatch):
    monkeypatch.setenv("FASTRUN_RUN_ID", guardian.run_id)
    if not listed:
        # As without /dev/fd.
        monkeypatch.setattr(module, "_DESCRIPTORS", "/nowhere")
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    try:
        guardian.start()
    finally:
        os.close(write_end)
        os.close(read_end)
    expected = [os.readlink("/proc/self/fd/2"), "/dev/null", "/memfd:fastrun-table (deleted)", "pipe:"]
    # Before that it opens libraries, which it closes again.
    assert wait_until(lambda: _waits(guardian._pid))
    assert _open_files(guardian._pid) == sorted(expected)
    with open(f"/proc/{guardian._pid}/environ", "rb") as file:
        assert b"FASTRUN_RUN_ID" not in file.read()
    assert os.getsid(guardian._pid) == guardian._pid


def test_the_lowest_descriptors_can_be_closed_at_the_start():
    code = """
import os, signal
os.closerange(0, 2)
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.table import EVAL
guardian = Guardian(os.urandom(8).hex())
guardian.start()
guardian.table.add(EVAL, 0, "a")
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(), stderr=subprocess.PIPE, check=False, timeout=LIMIT
    )
    assert result.stderr.decode().splitlines()[-1] == "fastrun: snippets that ran then: a"


@pytest.mark.parametrize(
    ("missing", "message"),
    [("shell", "/nowhere/sh"), ("python", "no Python"), ("memory", "no shared memory"), ("setsid", "no setsid")],
)
def test_guardian_that_cannot_start_leaves_a_table_and_nothing_open(missing, message, monkeypatch):
    """``_nothing_left_over`` counts the descriptors."""
    if missing == "memory":
        monkeypatch.setattr(os, "memfd_create", _refuse(OSError("no memory")))
    guardian = Guardian(os.urandom(8).hex())
    if missing == "shell":
        monkeypatch.setattr(module, "_SHELL", "/nowhere/sh")
    elif missing == "python":
        monkeypatch.setattr(sys, "executable", "")
    elif missing == "setsid":
        monkeypatch.setattr(os, "posix_spawn", _refuse(NotImplementedError("no setsid")))
    with pytest.raises(OSError, match=message):
        guardian.start()
    guardian.table.remove(guardian.table.add(EVAL, 0, "a"))
    guardian.stop()


def _refuse(error: Exception):
    def refused(*_, **__):
        raise error

    return refused


def test_an_inherited_descriptor_above_the_limit_is_no_reason_to_go_without(tmp_path):
    # As of a lock that a script holds; commands have it, the guardian has not.
    command = "readlink /proc/$PPID/fd/200 /proc/self/fd/200"
    path = write_json(tmp_path, document(exec_("a", command)))
    script = f"exec 200> lock; ulimit -n 128; exec {sys.executable} -m fastrun {path}"
    result = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment(), cwd=tmp_path, timeout=LIMIT, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.count(b"/lock\n") == 2

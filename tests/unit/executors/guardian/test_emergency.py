"""Real survivors, ended by the process of the test; ``test_guardian`` has the deaths of real runners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress

import pytest

from fastrun.executors.guardian import emergency
from fastrun.executors.guardian.emergency import Runner, Survivors, account, end_groups
from fastrun.executors.guardian.groups import signal_process
from fastrun.executors.guardian.proc import Identity, start_time
from fastrun.executors.guardian.table import EVAL, EXEC, Row
from tests.support.processes import LIMIT, WITHOUT_FIRST_THREAD, WITHOUT_MARK, alive, environment, wait_for

RUN = os.urandom(8).hex()
# Nobody: what is spared besides is the test's own process.
RUNNER = Runner(0, os.getsid(0), os.getpgrp())


@pytest.fixture
def start():
    """Starts a shell in a session of its own and waits for its first line. Kills what is left of its group."""
    with ExitStack() as stack:

        def begin(command: str, **variables: str) -> int:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdout=subprocess.PIPE,
                env={**os.environ, **variables},
                start_new_session=True,
            )
            stack.enter_context(process)
            assert process.stdout is not None
            stack.callback(_kill_group, process.pid)
            return int(process.stdout.readline())

        yield begin


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Leave no process alone because the machine has much else to do."""
    monkeypatch.setattr(emergency, "_PATIENCE", 2 * LIMIT)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _killed_by(pid: int) -> int:
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert result is not None
    return result.si_status


def survivors(*leaders: int, runner: Runner = RUNNER) -> Survivors:
    return Survivors(RUN, leaders, runner)


@pytest.mark.parametrize("without_pidfd", [False, True])
def test_the_willing_are_ended_by_term_and_the_deaf_by_kill(start, without_pidfd, monkeypatch):
    if without_pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    willing = start("echo $$; exec sleep 1000", FASTRUN_RUN_ID=RUN)
    deaf = start("trap '' TERM; echo $$; exec sleep 1000", FASTRUN_RUN_ID=RUN)

    class Waits(Survivors):
        def look(self):
            # The grace is over once the willing has ended.
            if not alive(willing):
                monkeypatch.setattr(emergency, "_GRACE", 0)
            return super().look()

    monkeypatch.setattr(emergency, "_GRACE", LIMIT)
    assert Waits(RUN, [], RUNNER).end() == (2, 0)
    assert _killed_by(willing) == signal.SIGTERM
    assert _killed_by(deaf) == signal.SIGKILL


def test_processes_that_each_start_the_next_and_end_are_seen_at_each_look(start):
    chain = "import os\nprint(os.getpid(), flush=True)\nfor _ in range(100_000): os.fork() and os._exit(0)"
    start(f"exec {sys.executable} -SEc '{chain}'", FASTRUN_RUN_ID=RUN)
    assert all(survivors().look()[0] for _ in range(30))
    assert survivors().end()[1] == 0
    assert not survivors().look()[0]


def test_stopped_process_is_continued_to_end_by_itself(start, tmp_path, monkeypatch):
    monkeypatch.setattr(emergency, "_GRACE", LIMIT)
    said = tmp_path / "said"
    pid = start(f"trap 'echo term > {said}; exit' TERM; echo $$; kill -STOP $$", FASTRUN_RUN_ID=RUN)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    assert survivors().end() == (1, 0)
    assert said.read_text() == "term\n"


def test_process_without_its_first_thread_is_ended(start, monkeypatch):
    monkeypatch.setattr(emergency, "_GRACE", LIMIT)
    pid = start(f"echo $$; exec {sys.executable} -c '{WITHOUT_FIRST_THREAD}'", FASTRUN_RUN_ID=RUN)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe"))
    assert survivors().end() == (1, 0)
    assert _killed_by(pid) == signal.SIGTERM


def test_a_process_that_loses_its_mark_is_waited_for_and_killed(start):
    pid = start(f"exec {sys.executable} -c '{WITHOUT_MARK}'", FASTRUN_RUN_ID=RUN)
    assert survivors().end() == (1, 0)
    assert _killed_by(pid) == signal.SIGKILL


def test_process_is_told_to_end_once(start, tmp_path, monkeypatch):
    said, enough = tmp_path / "said", tmp_path / "enough"
    looks = []

    class Counts(Survivors):
        def look(self):
            # It ends by itself, once it has been looked at a few times since it was told to.
            if said.exists() and said.read_text():
                looks.append(True)
            if len(looks) == 5:
                enough.touch()
            return super().look()

    monkeypatch.setattr(emergency, "_GRACE", LIMIT)
    command = f"trap 'echo term >> {said}' TERM; echo $$; until [ -e {enough} ]; do sleep 0.01; done"
    start(command, FASTRUN_RUN_ID=RUN)
    Counts(RUN, [], RUNNER).end()
    assert said.read_text() == "term\n"


def test_process_that_keeps_forking_is_ended(monkeypatch):
    """Each that is seen has ended when it is signalled. One that was not killed says so at the end of the input."""

    class Closes(Survivors):
        looks = 0

        def look(self):
            # They were killed behind the first.
            self.looks += 1
            if self.looks == 2:
                assert process.stdin is not None
                process.stdin.close()
            return super().look()

    monkeypatch.setattr(emergency, "_GRACE", 0)
    monkeypatch.setattr(emergency, "signal_process", lambda *_: None)
    code = """
import os, select, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"start")
while not select.select([0], [], [], 0)[0]:
    if os.fork():
        os._exit(0)
os.write(1, b"end")
"""
    command = [sys.executable, "-I", "-S", "-c", code]
    variables = {**os.environ, "FASTRUN_RUN_ID": RUN}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=variables, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"start"
        process.wait()
        Closes(RUN, [process.pid], RUNNER).end()
        assert process.stdout.read() == b""


def test_group_with_a_detached_process_is_not_killed_as_a_whole(start):
    command = "trap '' TERM; FASTRUN_DETACH=1 sh -c 'echo $$; exec sleep 1000' & exec sleep 1000"
    detached = start(command, FASTRUN_RUN_ID=RUN)
    assert survivors(os.getpgid(detached)).end() == (1, 0)
    assert alive(detached)


def test_pid_that_another_process_has_now_is_no_command(start):
    pid = start("echo $$; exec sleep 1000")
    found = survivors(pid)
    assert [process.pid for process in found.look()[0]] == [pid]
    found._began = start_time(pid) - 1
    assert found.look() == (set(), set())


def test_session_of_an_unmarked_process_is_left_alone(start):
    command = f"FASTRUN_RUN_ID={RUN} sh -c 'echo $$; kill -STOP $$' & exec sleep 1000"
    marked = start(command)
    assert survivors().look() == ({Identity(marked, start_time(marked))}, set())


@pytest.mark.parametrize("without_pidfd", [False, True])
def test_no_signal_reaches_a_process_with_a_reused_id(start, without_pidfd, monkeypatch):
    if without_pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    pid = start("echo $$; exec sleep 1000")
    signal_process(Identity(pid, start_time(pid) - 1), [signal.SIGKILL])
    assert alive(pid)
    signal_process(Identity(pid, start_time(pid)), [signal.SIGKILL])
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    # Now it is a zombie, and after this nobody at all.
    signal_process(Identity(pid, 1), [signal.SIGKILL])
    os.waitpid(pid, 0)
    signal_process(Identity(pid, 1), [signal.SIGKILL])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_process_of_another_user_is_counted_and_not_waited_for(start):
    """As a user that may not signal it: a process of root's in a command's session."""
    pid = start("echo $$; exec sleep 1000")
    code = f"""
import os
from fastrun.executors.guardian import emergency
emergency._PATIENCE = 1e9
os.setuid(65534)
print(emergency.Survivors({RUN!r}, [{pid}], emergency.Runner(0, os.getsid(0), os.getpgrp())).end())
"""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, check=False, timeout=LIMIT
    )
    assert result.stdout == b"(0, 1)\n", result.stderr
    assert alive(pid)


def test_groups_are_ended_where_there_is_no_proc(start):
    willing = start("echo $$; exec sleep 1000")
    deaf = start("trap '' TERM; echo $$; exec sleep 1000")
    code = f"""
import sys, threading
from fastrun.executors.guardian import emergency
emergency._GRACE, emergency._PATIENCE = {LIMIT}, {2 * LIMIT}
def over():
    sys.stdin.read()
    emergency._GRACE = 0
threading.Thread(target=over, daemon=True).start()
print(emergency.end_groups([{willing}, {deaf}, {1 << 22}]))
"""
    # Nobody else waits for these two: a group has a member for as long as its leader is a zombie.
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        codes = []
        for pid in (willing, deaf):
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            # The grace is over once the willing has ended.
            process.stdin.close()
        assert process.stdout.read() == b"(2, 0)\n"
    assert codes == [-signal.SIGTERM, -signal.SIGKILL]
    assert end_groups([willing]) == (0, 0)


def test_account_counts_processes_and_names_tasks():
    assert account("it died", 0, 0, []) == "fastrun: it died; ended 0 processes of its tasks\n"
    rows = [Row(EVAL, 0, f"s{number}") for number in range(12)] + [Row(EXEC, 5, "c"), Row(EXEC, 6, "")]
    assert account("it died", 1, 2, rows).splitlines() == [
        "fastrun: it died; ended 1 process of its tasks; 2 could not be ended",
        "fastrun: commands that ran then: c",
        "fastrun: snippets that ran then: s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 2 more",
    ]


# Starts the emergency for itself. Gives back much memory when it dies, and is a process all that time.
DIES_SLOWLY = """
import os, signal, subprocess, sys
from fastrun.executors.guardian.table import Table
table = Table().descriptor
numbers = [os.getpid(), os.getsid(0), os.getpgrp(), table, table, -1]
code = "from fastrun.executors.guardian.emergency import main; print(flush=True); main()"
command = [sys.executable, "-c", code, os.urandom(8).hex(), *map(str, numbers)]
subprocess.Popen(command, pass_fds=[table], start_new_session=True)
much = b"x" * 300_000_000
print(flush=True)
signal.pause()
"""


def test_a_runner_that_is_dying_has_died():
    command = [sys.executable, "-c", DIES_SLOWLY]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdout.readline()
        process.kill()
        process.stdin.close()
        assert process.stderr.read() == b"fastrun: fastrun died; ended 0 processes of its tasks\n"

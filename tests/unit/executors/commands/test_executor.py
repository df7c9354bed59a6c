"""Real commands, on both ways of waiting for them, against the traps that other runners fall into."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading

import pytest
import uvloop

from fastrun import Outcome, Start, Status
from fastrun.document.parse import read
from fastrun.executors import limits, shortage
from fastrun.executors.commands import executor as processes
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.commands.spawner import Spawner
from fastrun.executors.guardian import groups
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.snippets.executor import SnippetExecutor
from fastrun.outcome import exit_outcome
from fastrun.plan.graph import build
from fastrun.protocols import Executor
from fastrun.runner.runner import Run
from tests.support.documents import document, eval_, exec_
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, WITHOUT_FIRST_THREAD, alive, environment, wait_for


@pytest.fixture(params=["epoll", "portable"])
def portable(request):
    return request.param == "portable"


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_run(request):
    """``asyncio.run`` on either loop."""
    return uvloop.run if request.param == "uvloop" else asyncio.run


class Ran:
    """A finished run: its report, its events and its warnings. ``recorder`` may act on ``self.run``."""

    def __init__(
        self, *tasks, recorder=None, portable=False, jobs=None, grace=5.0, runner=uvloop.run, **options
    ) -> None:
        self.recorder = recorder or Recorder()
        self.warnings: list[str] = []
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        processes_ = ProcessExecutor(guardian, jobs, grace=grace, measured=self.recorder.detailed, portable=portable)
        executors: dict[str, Executor] = {
            "exec": processes_,
            "eval": SnippetExecutor(guardian),
        }
        graph = build(read(document(*tasks), "document"))
        self.run = Run(graph, executors, [self.recorder], grace=grace, warn=self.warnings.append, **options)
        self.recorder.run = self.run
        try:
            self.report = runner(asyncio.wait_for(self.run.run(), LIMIT))
        finally:
            guardian.stop()
        # An observer of ours that fails sees nothing more, which would look as if nothing more had come.
        assert not any("no longer watches" in warning for warning in self.warnings), self.warnings

    def status(self, name: str) -> tuple[str, str]:
        result = self.report[name]
        return result.status.label, result.reason


class Detailed(Recorder):
    """Wants to know everything, and keeps what it is told."""

    def __init__(self, *, detailed: bool = True) -> None:
        super().__init__()
        self.wants = detailed
        self.starts: dict[str, Start] = {}
        self.outcomes: dict[str, Outcome] = {}

    @property
    def detailed(self) -> bool:
        return self.wants

    def task_started(self, task, start) -> None:
        super().task_started(task, start)
        self.starts[task.name] = start

    def task_ended(self, task, outcome) -> None:
        super().task_ended(task, outcome)
        self.outcomes[task.name] = outcome


def test_what_a_command_used_is_told_to_who_wants_to_know(portable):
    recorder = Detailed()
    # More than this process ever had, which counts for what it starts too.
    much = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 100_000_000
    source = f"b = b'x' * {much}; sum(range(3_000_000))"
    busy = f'{sys.executable} -c "{source}"; echo $$; exit 3'
    ran = Ran(exec_("a", busy), exec_("b", "true"), eval_("c", "x = 1"), recorder=recorder, portable=portable)
    a, b = recorder.outcomes["a"].usage, recorder.outcomes["b"].usage
    assert a is not None
    assert b is not None
    assert a.peak_bytes is not None
    assert a.peak_bytes > 0.9 * much
    # Less than this process has.
    assert b.peak_bytes is None
    assert a.cpu_seconds > b.cpu_seconds >= 0
    assert ran.status("a") == ("failed", "exit status 3")
    assert recorder.starts["a"] == Start(pid=int(ran.recorder.out("a")))
    assert recorder.outcomes["c"].usage is None
    assert recorder.starts["c"].pid is None


def test_what_a_command_used_that_leaves_somebody_behind_is_not_known():
    recorder = Detailed()
    Ran(exec_("a", "sleep 0.1 &"), exec_("b", "true", "a"), recorder=recorder)
    assert recorder.outcomes["a"].usage is None
    assert recorder.outcomes["b"].usage is not None


def test_nothing_is_measured_that_nobody_wants_to_know(portable):
    recorder = Detailed(detailed=False)
    Ran(exec_("a", "true"), recorder=recorder, portable=portable)
    assert (recorder.starts["a"], recorder.outcomes["a"].usage) == (Start(), None)


def test_output_and_status_of_a_command(portable, loop_run):
    ran = Ran(exec_("a", "echo out; echo err >&2; exit 3"), portable=portable, runner=loop_run)
    assert ran.status("a") == ("failed", "exit status 3")
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("out\n", "err\n")
    hooks = [event[0] for event in ran.recorder.events]
    assert hooks[0] == "run_started"
    assert hooks[1] == "task_started"
    assert set(hooks[2:-2]) == {"task_output"}
    assert hooks[-2:] == ["task_ended", "run_ended"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, (Status.OK, "")),
        (1, (Status.FAILED, "exit status 1")),
        (-9, (Status.FAILED, "killed by SIGKILL")),
        (-35, (Status.FAILED, "killed by signal 35")),
        (None, (Status.FAILED, "exit status lost")),
    ],
)
def test_an_exit_code_says_how_a_task_ended(code, outcome):
    assert exit_outcome(code) == Outcome(*outcome)


def test_a_command_killed_by_a_signal_has_failed(portable):
    assert Ran(exec_("a", "kill -KILL $$"), portable=portable).status("a") == ("failed", "killed by SIGKILL")


# What a command of plain words shows of the shell around it.
PROGRAMS = {
    "leads": "print(os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid())",
    "environment": "print(*sorted(key for key in os.environ if not key.startswith('FASTRUN_')))",
    "dies": "os.kill(os.getpid(), 9)",
    "fails": "os._exit(3)",
}


@pytest.mark.parametrize("program", [*PROGRAMS, "missing"])
def test_a_program_alone_runs_as_the_systems_shell_runs_it(portable, program, tmp_path):
    # Some shells replace themselves with it, others stay its parent, lead the session and tell of its death.
    path = tmp_path / program
    if program in PROGRAMS:
        path.write_text(f"#!{sys.executable}\nimport os\n{PROGRAMS[program]}\n")
        path.chmod(0o755)
    told = {"FASTRUN_RUN_ID": "", "FASTRUN_ATTEMPT": "", "FASTRUN_TASK": ""}
    expected = subprocess.run(
        ["/bin/sh", "-c", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **told},
        start_new_session=True,
        timeout=LIMIT,
        check=False,
    )
    ran = Ran(exec_("a", str(path)), portable=portable)
    outcome = exit_outcome(expected.returncode)
    assert ran.status("a") == (outcome.status.label, outcome.reason)
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == (expected.stdout, expected.stderr)


def test_every_command_has_a_session_of_its_own_and_no_input(portable):
    ran = Ran(exec_("a", "ps -o sid= -p $$; echo $$; wc -c; test -t 0 || echo none"), portable=portable)
    session, pid, count, terminal = ran.recorder.out("a").split()
    assert session == pid
    assert int(pid) != os.getpid()
    assert (count, terminal) == ("0", "none")


def test_sigpipe_is_at_its_default(portable):
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    ran = Ran(exec_("a", "yes | head -n 1"), portable=portable)
    assert ran.status("a")[0] == "ok"
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("y\n", "")


def test_standard_output_is_a_pipe_that_can_be_opened_again(portable):
    assert Ran(exec_("a", "echo again > /dev/stdout"), portable=portable).recorder.out("a") == "again\n"


def test_cwd_env_and_what_a_task_is_told(portable, tmp_path):
    (tmp_path / "sub").mkdir()
    command = 'pwd; printf "%s %s %s\\n" "$K" "$FASTRUN_TASK" "$FASTRUN_ATTEMPT"; test -n "$FASTRUN_RUN_ID"'
    ran = Ran(exec_("näme\n", command, cwd=str(tmp_path / "sub"), env={"K": "vä"}), portable=portable)
    assert ran.status("näme\n")[0] == "ok"
    assert ran.recorder.out("näme\n") == f"{tmp_path}/sub\nvä näme\\n 1\n"


def test_a_missing_cwd_fails_the_task_and_names_the_cause(portable):
    ran = Ran(exec_("a", "true", cwd="/nowhere/at all"), exec_("b", "true"), portable=portable)
    assert ran.status("a") == ("failed", "cannot start: No such file or directory: /nowhere/at all")
    assert ran.status("b")[0] == "ok"


def test_an_environment_over_the_systems_limit_fails_the_task_and_names_the_cause(portable):
    ran = Ran(exec_("a", "true", env={"K": "x" * (1 << 18)}), portable=portable)
    assert ran.status("a")[1].startswith("cannot start: Argument list too long")


@pytest.mark.parametrize("size", [(1 << 17) - 1, 1 << 17, 1 << 22])
def test_a_long_command_runs_as_a_short_one_does(portable, size, tmp_path, monkeypatch):
    # A quotation mark in the folder's name must not end the shell's.
    folder = tmp_path / "it's"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    command = 'echo "$0" "$#"; wc -c; exit 3\n# '
    ran = Ran(exec_("a", command + "x" * (size - len(command))), portable=portable)
    assert ran.status("a") == ("failed", "exit status 3")
    assert ran.recorder.out("a").split() == ["/bin/sh", "0", "0"]
    assert not os.listdir(folder)


def test_snippets_do_not_move_commands_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    snippet = "import os; os.chdir('other'); os.environ['MOVED'] = 'yes'; os.umask(0o777)"
    before = os.umask(0o022)
    try:
        ran = Ran(eval_("a", snippet), exec_("b", 'pwd; umask; echo "moved:$MOVED"', "a"))
    finally:
        os.umask(before)
        os.environ.pop("MOVED", None)
    assert ran.recorder.out("b") == f"{tmp_path}\n0022\nmoved:\n"


def test_bytes_pass_unchanged(portable):
    octal = "".join(f"\\{byte:03o}" for byte in range(1, 256))
    ran = Ran(exec_("a", f"printf '{octal}'"), portable=portable)
    assert ran.recorder.output["a", 1] == bytes(range(1, 256))


class Thief(Recorder):
    """Takes the status of whatever child ends first, as some libraries do."""

    def task_output(self, task, stream, data) -> None:
        super().task_output(task, stream, data)
        os.waitpid(-1, 0)


def test_a_status_that_somebody_else_took_is_lost_and_not_ok():
    ran = Ran(exec_("a", "echo x"), recorder=Thief())
    assert ran.status("a") == ("failed", "exit status lost")


def test_a_status_that_the_kernel_threw_away_is_lost_and_not_ok(portable):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        ran = Ran(exec_("a", "true"), portable=portable)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert ran.status("a") == ("failed", "exit status lost")


def test_a_background_process_that_keeps_the_output_does_not_hold_up_the_run(portable):
    command = "sleep 1000 & echo $!"
    ran = Ran(exec_("a", command), exec_("b", "echo after", "a"), portable=portable)
    assert ran.status("a")[0] == "ok"
    assert ran.status("b")[0] == "ok"
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind that keeps its output open; it is ended"]


def test_a_background_process_that_ignores_sigterm_is_killed(portable):
    command = "(trap '' TERM; echo ready; while :; do sleep 1000; done) & echo $!"
    ran = Ran(exec_("a", command), portable=portable, grace=0.1)
    pid = next(int(line) for line in ran.recorder.out("a").split() if line.isdecimal())
    assert not alive(pid)


def test_a_background_process_is_read_to_the_end(portable, tmp_path):
    # It prints once the second task has written to the gate, when its own shell is long gone.
    folder = str(tmp_path)
    ran = Ran(
        exec_("a", "mkfifo gate; (read line < gate; echo late; > done; sleep 1000) & exit 0", cwd=folder),
        exec_("b", "echo go > gate; while [ ! -e done ]; do sleep 0.01; done", "a", cwd=folder),
        portable=portable,
        grace=60.0,
    )
    assert ran.recorder.out("a") == "late\n"


DAEMON = "setsid sh -c '{}> left; exec sleep 1000' & echo $!; while [ ! -e left ]; do sleep 0.01; done"


@pytest.mark.parametrize("quiet", ["", "exec >&- 2>&-; "])
def test_a_daemon_is_named_and_ended_at_the_end_of_the_run(portable, tmp_path, quiet):
    ran = Ran(exec_("a", DAEMON.format(quiet), cwd=str(tmp_path)), portable=portable)
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind; it is ended"]


@pytest.mark.parametrize("program", ["sh -c '> ready; exec sleep 1000'", f"{sys.executable} first.py"])
@pytest.mark.parametrize("session", ["", "setsid "])
def test_who_writes_nothing_and_stays_is_named_and_ended_at_the_end_of_the_run(portable, tmp_path, program, session):
    # The second one goes on without the thread that it began with, and looks like a zombie.
    (tmp_path / "first.py").write_text(f"open('ready', 'w')\n{WITHOUT_FIRST_THREAD}")
    # What runs has its output elsewhere by then.
    waits = "while [ ! -e ready ]; do sleep 0.01; done"
    ends = "; while [ -e /proc/$!/exe ]; do sleep 0.01; done" if "first" in program else ""
    command = f"{session}{program} > /dev/null 2>&1 & echo $!; {waits}{ends}"
    ran = Ran(exec_("a", command, cwd=str(tmp_path)), portable=portable)
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind; it is ended"]


def test_a_daemon_that_ignores_sigterm_is_killed(portable, tmp_path):
    ran = Ran(exec_("a", DAEMON.format('trap "" TERM; '), cwd=str(tmp_path)), portable=portable, grace=0.1)
    assert not alive(int(ran.recorder.out("a")))


@pytest.mark.parametrize("command", [DAEMON.format(""), "sleep 1000 & echo $!"])
def test_what_a_detached_command_leaves_behind_lives_on_unnamed(portable, tmp_path, command):
    ran = Ran(exec_("a", command, cwd=str(tmp_path), detach=True), portable=portable)
    pid = int(ran.recorder.out("a"))
    try:
        assert alive(pid)
        assert ran.warnings == []
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_daemon_without_the_mark_that_keeps_the_output_is_named(portable, tmp_path):
    daemon = "env -i setsid sh -c '> left; exec sleep 1000' & echo $!; while [ ! -e left ]; do sleep 0.01; done"
    ran = Ran(exec_("a", daemon, cwd=str(tmp_path)), portable=portable)
    pid = int(ran.recorder.out("a"))
    try:
        assert alive(pid)
        assert ran.warnings == ["a: left a process behind that keeps its output open; it left its session and lives on"]
    finally:
        os.kill(pid, signal.SIGKILL)


def test_output_of_gigabytes_takes_no_memory():
    # In a process of its own, whose peak is its own.
    script = """
import asyncio, resource, sys, uvloop
from fastrun import Observer, run
class Count(Observer):
    total = 0
    def task_output(self, task, stream, data):
        self.total += len(data)
count = Count()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = run({"tasks": [{"name": "a", "type": "exec", "arguments": "head -c 1000000000 /dev/zero"}]}, observers=[count])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(report.ok, count.total, after - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), timeout=LIMIT, check=True
    )
    ok, total, grown = result.stdout.split()
    assert (ok, total) == ("True", "1000000000")
    assert int(grown) < 20_000


def test_a_shortage_of_descriptors_delays_tasks_and_fails_none(portable, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Tightener(Recorder):
        def run_started(self, tasks) -> None:
            # After the executor has counted its slots, so that it has to learn. Room for about four tasks.
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 16, hard))

    class Opener(Tightener):
        def task_started(self, task, start) -> None:
            super().task_started(task, start)
            if task.name == "t0":
                self.run.warning = self.opening

        def opening(self, text: str) -> None:
            # The shortage is there: now the tasks may end. A folder, since a file would take a descriptor.
            (tmp_path / "go").mkdir()
            self.run._warn(text)

    tasks = [exec_(f"t{i}", f"echo x; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done") for i in range(20)]
    try:
        ran = Ran(*tasks, recorder=Opener(), portable=portable)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ran.report.ok
    assert all(ran.recorder.out(f"t{i}") == "x\n" for i in range(20))
    assert ran.warnings == ["cannot start: Too many open files: starting fewer tasks at once"]


def test_somebody_who_is_behind_slows_the_tasks_and_loses_nothing(portable):
    class Slow(Recorder):
        looks = 0

        @property
        def congested(self) -> bool:
            self.looks += 1
            return self.looks % 3 != 0

    ran = Ran(exec_("a", "head -c 300000 /dev/zero"), recorder=Slow(), portable=portable)
    assert ran.report.ok
    assert len(ran.recorder.output["a", 1]) == 300_000


def test_as_many_run_at_once_as_jobs_allow(portable, tmp_path):
    # Each waits for the other two: with fewer slots this would not end.
    meet = 'touch "$FASTRUN_TASK"; while ! { [ -e a ] && [ -e b ] && [ -e c ]; }; do :; done'
    ran = Ran(*(exec_(name, meet, cwd=str(tmp_path)) for name in "abc"), portable=portable, jobs=3)
    assert ran.report.ok


def test_tasks_of_one_job_run_one_after_the_other(portable):
    ran = Ran(*(exec_(name, "true") for name in "abc"), portable=portable, jobs=1)
    hooks = [event[:2] for event in ran.recorder.events[1:-1]]
    assert hooks == [(hook, name) for name in "abc" for hook in ("task_started", "task_ended")]


def test_an_interrupt_ends_the_whole_group(portable):
    class Interrupter(Recorder):
        def task_output(self, task, stream, data) -> None:
            super().task_output(task, stream, data)
            if self.out("a").count("\n") == 2:
                asyncio.get_running_loop().call_soon(self.run.interrupt)

    ran = Ran(
        exec_("a", "sleep 1000 & echo $!; echo $$; wait"),
        exec_("b", "true", "a"),
        recorder=Interrupter(),
        portable=portable,
    )
    assert ran.status("a") == ("interrupted", "")
    assert ran.status("b") == ("interrupted", "")
    assert not any(alive(int(pid)) for pid in ran.recorder.out("a").split())


def test_a_directory_that_was_removed_can_still_be_worked_in(portable, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Ran(exec_("a", "echo x"), portable=portable).recorder.out("a") == "x\n"
    monkeypatch.chdir(tmp_path)


LONG = "true\n# " + "x" * (1 << 17)


def test_a_long_command_that_cannot_start_leaves_no_file(portable, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ran = Ran(exec_("a", LONG, cwd="/nowhere"), portable=portable)
    assert ran.status("a") == ("failed", "cannot start: No such file or directory: /nowhere")
    assert not os.listdir(tmp_path)


def test_a_long_command_without_room_for_its_file_fails_and_names_the_cause(portable, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        ran = Ran(exec_("a", LONG), portable=portable)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ran.status("a") == ("failed", "cannot start: File too large")
    assert not os.listdir(tmp_path)


class Unwatchable(Recorder):
    """Lets no process be waited for in the ordinary ways.

    Injected: the descriptors that a spawn frees leave room for the pidfd unless another thread takes them.
    """

    def __init__(self, monkeypatch) -> None:
        super().__init__()
        self.monkeypatch = monkeypatch

    def run_started(self, tasks) -> None:
        def refuse(*_: object) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        def no_thread(_: object) -> None:
            raise RuntimeError("can't start new thread")

        self.monkeypatch.setattr(os, "pidfd_open", refuse)
        self.monkeypatch.setattr(threading.Thread, "start", no_thread)

    def run_ended(self, report) -> None:
        self.monkeypatch.undo()


def test_a_process_that_cannot_be_watched_is_asked_again_and_again(monkeypatch, portable):
    tasks = [
        exec_("a", "echo x; sleep 0.02; exit 3"),
        exec_("b", "kill -TERM $$"),
        exec_("c", "head -c 300000 /dev/zero"),
        exec_("d", "sleep 1000 & echo $!"),
        exec_("e", "echo after", "d"),
    ]
    ran = Ran(*tasks, recorder=Unwatchable(monkeypatch), portable=portable)
    assert ran.status("a") == ("failed", "exit status 3")
    assert ran.status("b") == ("failed", "killed by SIGTERM")
    assert ran.recorder.out("a") == "x\n"
    assert ran.recorder.output["c", 1] == bytes(300_000)
    assert ran.recorder.out("e") == "after\n"
    assert not alive(int(ran.recorder.out("d")))


def test_a_lost_status_of_a_process_that_cannot_be_watched_is_failed(monkeypatch):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        ran = Ran(exec_("a", "echo x"), recorder=Unwatchable(monkeypatch))
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert ran.status("a") == ("failed", "exit status lost")


def test_where_there_is_no_pidfd_the_portable_way_is_taken(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    assert Ran(exec_("a", "echo x")).recorder.out("a") == "x\n"


def test_where_groups_cannot_be_looked_at_open_pipes_tell(monkeypatch, portable):
    monkeypatch.setattr(processes, "live_groups", lambda: None)
    ran = Ran(exec_("a", "sleep 1000 & echo $!"), portable=portable)
    assert ran.status("a") == ("ok", "")
    assert not alive(int(ran.recorder.out("a")))


def test_a_system_without_proc_tells_nothing_of_groups(monkeypatch):
    def missing(_: str) -> list[str]:
        raise FileNotFoundError

    assert os.getpgrp() in (groups.live_groups() or set())
    monkeypatch.setattr(os, "listdir", missing)
    assert groups.live_groups() is None


def test_descriptors_and_control_groups_bound_the_slots(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = limits.granted_processes(3)
    assert 1 <= most <= soft // 3
    for path, content in {
        "cgroup": "3:cpu,pids:/a\n2:memory:/a\n0::/b/c\n",
        "fs/cpu,pids/a/pids.max": "100",
        "fs/cpu,pids/a/pids.current": "20",
        "fs/b/pids.max": "max",
        "fs/b/pids.current": "1",
        "fs/b/c/pids.max": "50",
        "fs/b/c/pids.current": "10",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    found = limits._control_groups(str(tmp_path / "fs"), str(tmp_path / "cgroup"))
    assert found == [(100, 20), (50, 10)]
    assert limits._control_groups(own=str(tmp_path / "none")) == []
    monkeypatch.setattr(limits, "_control_groups", lambda: found)
    assert limits.granted_processes(3) == min(most, 24)
    monkeypatch.setattr(limits, "_control_groups", lambda: [(10, 10)])
    assert limits.granted_processes(3) == 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, hard))
    monkeypatch.setattr(limits, "_control_groups", list)
    monkeypatch.setattr(os, "listdir", lambda _: exec("raise OSError"))
    assert limits.granted_processes(3) > 100_000


def test_slots_go_down_to_what_runs_and_up_again_and_patience_ends(monkeypatch):
    class Events:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def warning(self, text: str) -> None:
            self.calls.append(text)

        def slots_changed(self) -> None:
            self.calls.append("slots_changed")

    async def steps() -> list[str]:
        events, slots = Events(), shortage.Slots(4)
        assert not slots.refused(events, 2, "cause")  # type: ignore[arg-type]
        assert slots.number == 2
        for expected in (3, 4, 4):
            slots.ended()
            assert slots.number == expected
        assert not slots.refused(events, 0, "cause")  # type: ignore[arg-type]
        assert slots.number == 0
        while not slots.number:
            await asyncio.sleep(0)
        slots.started()
        monkeypatch.setattr(shortage, "PATIENCE", 0.0)
        assert slots.refused(events, 0, "cause")  # type: ignore[arg-type]
        return events.calls

    monkeypatch.setattr(shortage, "_RETRY", 0.0)
    assert asyncio.run(steps()) == ["cause: starting fewer tasks at once", "slots_changed"]


class InterruptsAt(Recorder):
    """Interrupts the run when a task starts."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def task_started(self, task, start) -> None:
        super().task_started(task, start)
        if task.name == self.name:
            self.run.interrupt()


def hooks(recorder: Recorder) -> list[tuple[str, ...]]:
    """The events without output."""
    return [event[:3] for event in recorder.events[1:-1] if event[0] != "task_output"]


def test_a_chain_of_commands_has_events_of_its_own_for_each_task(portable):
    ran = Ran(
        exec_("a", "echo 1"),
        exec_("b", "echo 2", "a"),
        exec_("c", "exit 3", "b"),
        exec_("d", "true", "c"),
        portable=portable,
    )
    assert hooks(ran.recorder) == [
        ("task_started", "a"),
        ("task_ended", "a", "ok"),
        ("task_started", "b"),
        ("task_ended", "b", "ok"),
        ("task_started", "c"),
        ("task_ended", "c", "failed"),
        ("task_ended", "d", "skipped"),
    ]
    assert (ran.recorder.out("a"), ran.recorder.out("b")) == ("1\n", "2\n")


class Blocker(Recorder):
    """Holds the loop until a's shell has exited, and then who keeps its output, so that it sees both at once."""

    def __init__(self, folder) -> None:
        super().__init__()
        self.folder = folder

    def task_started(self, task, start) -> None:
        super().task_started(task, start)
        if task.name == "late":
            wait_for((self.folder / "pids").exists)
            holder, shell = (int(pid) for pid in (self.folder / "pids").read_text().split())
            wait_for(lambda: not alive(shell))
            (self.folder / "go").touch()
            wait_for(lambda: not alive(holder))


def test_news_of_a_command_is_not_taken_for_the_next_of_its_chain(portable, tmp_path, monkeypatch):
    # The pipes of the next get the numbers of those that were closed just now.
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 1e9)
    hold = "(until [ -e go ]; do sleep 0.01; done) & echo $! $$ > made; mv made pids"
    tasks = [exec_("a", hold, cwd=str(tmp_path)), exec_("b", "echo x", "a"), exec_("late", "true")]
    ran = Ran(*tasks, recorder=Blocker(tmp_path), portable=portable)
    assert ran.status("b") == ("ok", "")
    assert ran.recorder.out("b") == "x\n"


class TouchesAtTheEnd(Recorder):
    """Makes a file when a task has ended."""

    def __init__(self, name: str, path) -> None:
        super().__init__()
        self.name = name
        self.path = path

    def task_ended(self, task, outcome) -> None:
        super().task_ended(task, outcome)
        if task.name == self.name:
            self.path.touch()


def started(recorder: Recorder) -> list[str]:
    return [event[1] for event in recorder.events if event[0] == "task_started"]


def test_a_chain_of_commands_whose_time_is_over_makes_way_for_a_longer_path(portable, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 0.0)
    here, go = tmp_path / "here", tmp_path / "go"
    tasks = [
        exec_("a", f"touch {here}; until [ -e {go} ]; do sleep 0.01; done"),
        exec_("b", "true", "a"),
        eval_("e", f"import os, time\nwhile not os.path.exists({str(here)!r}): time.sleep(0.01)"),
        # Ready while a runs in the only slot, and with more behind it than b.
        exec_("c", "true", "e"),
        exec_("d", "true", "c"),
    ]
    ran = Ran(*tasks, recorder=TouchesAtTheEnd("e", go), portable=portable, jobs=1)
    assert ran.report.ok
    assert [name for name in started(ran.recorder) if name in "abc"] == ["a", "c", "b"]


def test_a_chain_of_commands_does_not_go_on_after_the_last_failure_allowed(portable, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 1e9)
    failed = tmp_path / "failed"
    tasks = [exec_("f", "false"), exec_("a", f"until [ -e {failed} ]; do sleep 0.01; done"), exec_("b", "true", "a")]
    ran = Ran(*tasks, recorder=TouchesAtTheEnd("f", failed), portable=portable, keep_going=1)
    assert ran.status("b") == ("skipped", "stopped after 1 failure")
    assert sorted(started(ran.recorder)) == ["a", "f"]


def test_an_interrupt_in_a_chain_starts_nothing_more(portable):
    tasks = [exec_("a", "true"), exec_("b", "sleep 60", "a"), exec_("c", "true", "b")]
    ran = Ran(*tasks, recorder=InterruptsAt("b"), portable=portable)
    assert [ran.status(name)[0] for name in "abc"] == ["ok", "interrupted", "interrupted"]
    assert [event[1] for event in ran.recorder.events if event[0] == "task_started"] == ["a", "b"]


def test_a_shortage_in_a_chain_makes_its_next_task_wait(monkeypatch):
    # Injected: a real one would have to come between two commands of one chain.
    refusals = [OSError(errno.EAGAIN, "for now")]
    start = Spawner.start

    def start_short(self, task, *ends):
        if task.name == "b" and refusals:
            raise refusals.pop()
        return start(self, task, *ends)

    monkeypatch.setattr(Spawner, "start", start_short)
    ran = Ran(exec_("a", "true"), exec_("b", "true", "a"), exec_("c", "true", "b"))
    assert ran.report.ok
    assert not refusals
    assert len(ran.warnings) == 1


def test_all_that_may_run_does_however_few_start_in_a_turn(portable, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "_STARTS_PER_TURN", 2)
    names = "abcdef"
    meet = f"cd {tmp_path}; touch $FASTRUN_TASK; until [ $(ls | wc -l) = {len(names)} ]; do sleep 0.01; done"
    tasks = [eval_("first", "pass"), exec_("a", meet), *(exec_(name, meet, "first") for name in names[1:])]
    assert Ran(*tasks, portable=portable, grace=0.1).report.ok


def test_a_command_whose_time_is_over_is_ended_with_its_group_and_has_failed(portable):
    tasks = [
        exec_("a", "sleep 1000 & echo $! $$; wait", timeout=0.1),
        exec_("b", "true", "a"),
        exec_("c", "sleep 0.3", timeout=60),
    ]
    ran = Ran(*tasks, portable=portable)
    assert ran.status("a") == ("failed", "timed out after 0.1 s")
    assert ran.status("b") == ("skipped", "a failed")
    assert ran.status("c") == ("ok", "")
    assert not any(alive(int(pid)) for pid in ran.recorder.out("a").split())


def test_a_command_that_ignores_the_end_of_its_time_is_killed_after_the_grace_period(portable):
    stubborn = "trap '' TERM; echo $$; while :; do sleep 1000; done"
    ran = Ran(exec_("a", stubborn, timeout=0.1), portable=portable, grace=0.1)
    assert ran.status("a") == ("failed", "timed out after 0.1 s")
    assert not alive(int(ran.recorder.out("a")))


def test_a_stopped_command_is_ended_when_its_time_is_over(portable):
    ran = Ran(exec_("a", "kill -STOP $$", timeout=0.1), portable=portable, grace=60.0)
    assert ran.status("a") == ("failed", "timed out after 0.1 s")


def test_what_a_command_out_of_time_left_behind_is_killed_while_the_run_goes_on(portable, tmp_path):
    # The shell obeys, its child does not and has closed the output; the last command sees the child's end.
    child = "(trap '' TERM; exec >&- 2>&-; while :; do sleep 0.01; done) & echo $! > made; mv made pid; wait"
    watcher = "while [ ! -e pid ]; do sleep 0.01; done; while kill -0 $(cat pid); do sleep 0.01; done 2>&-"
    folder = str(tmp_path)
    ran = Ran(
        exec_("a", child, cwd=folder, timeout=0.2),
        exec_("b", watcher, cwd=folder, timeout=30),
        portable=portable,
        grace=0.1,
    )
    assert ran.status("a") == ("failed", "timed out after 0.2 s")
    assert ran.status("b")[0] == "ok"

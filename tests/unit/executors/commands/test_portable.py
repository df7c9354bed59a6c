"""How the end of a command is learnt, and what becomes of processes that it leaves behind."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import threading

import pytest

from fastrun import Outcome, Start
from fastrun.executors.commands import lingering, portable
from fastrun.executors.commands.spawner import Spawner
from tests.support.documents import eval_, exec_
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, WITHOUT_FIRST_THREAD, alive
from tests.support.runs import Ran, shared


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

    def task_started(self, number, task, start) -> None:
        super().task_started(number, task, start)
        self.starts[task.name] = start

    def task_ended(self, number, task, outcome) -> None:
        super().task_ended(number, task, outcome)
        self.outcomes[task.name] = outcome


def test_detailed_observer_is_told_what_a_command_used(engine):
    recorder = Detailed()
    # More than this process ever had, which counts for what it starts too.
    much = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 100_000_000
    source = f"b = b'x' * {much}; sum(range(3_000_000))"
    busy = f'{sys.executable} -c "{source}"; echo $$; exit 3'
    ran = Ran(exec_("a", busy), exec_("b", "true"), eval_("c", "x = 1"), recorder=recorder, engine=engine)
    a, b = recorder.outcomes["a"].usage, recorder.outcomes["b"].usage
    assert a is not None
    assert b is not None
    assert a.peak_bytes is not None
    assert a.peak_bytes > 0.9 * much
    # Less than this process has.
    assert b.peak_bytes is None
    assert a.cpu_seconds > b.cpu_seconds >= 0
    assert ran.status("a") == ("failed", "exit status 3")
    assert recorder.starts["a"]._replace(ago=0.0) == Start(pid=int(ran.recorder.out("a")))
    assert recorder.outcomes["c"].usage is None
    assert recorder.starts["c"].pid is None


def test_usage_of_a_command_that_leaves_a_process_behind_is_not_known():
    recorder = Detailed()
    Ran(exec_("a", "sleep 1000 &"), exec_("b", "true", "a"), recorder=recorder)
    assert recorder.outcomes["a"].usage is None
    assert recorder.outcomes["b"].usage is not None


def test_nothing_is_measured_without_a_detailed_observer(engine):
    recorder = Detailed(detailed=False)
    Ran(exec_("a", "true"), recorder=recorder, engine=engine)
    assert recorder.outcomes["a"].usage is None


COPIES = """
import os, signal, shared
shared.here.set()
shared.starting.wait()
pid = os.fork()
if not pid: signal.pause()
shared.copied.set()
shared.ended.wait()
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""


class SetsAtTheEnd(Detailed):
    """Sets an event when a command has ended."""

    def __init__(self, ended: threading.Event) -> None:
        super().__init__()
        self.ended = ended

    def task_ended(self, number, task, outcome) -> None:
        super().task_ended(number, task, outcome)
        if task.type == "exec":
            self.ended.set()


@pytest.mark.parametrize("engine", ["python", "portable"])
def test_a_copy_that_a_snippet_makes_of_an_engine_in_python_keeps_no_end_of_a_commands_pipes(engine, monkeypatch):
    monkeypatch.setattr(portable, "_LONGEST_START", LIMIT)
    here, starting, copied, ended = (threading.Event() for _ in range(4))
    start = Spawner.start

    def start_slowly(*arguments):
        # The copy is made in the middle of a start, if that does not hold it up.
        starting.set()
        copied.wait(0.3)
        return start(*arguments)

    monkeypatch.setattr(Spawner, "start", start_slowly)
    recorder = SetsAtTheEnd(ended)
    tasks = [eval_("waits", "import shared; shared.here.wait()"), exec_("a", "true", "waits"), eval_("copies", COPIES)]
    with shared(here=here, starting=starting, copied=copied, ended=ended):
        ran = Ran(*tasks, recorder=recorder, engine=engine)
    assert ran.report.ok
    # It is not known of a command whose output stays open.
    assert recorder.outcomes["a"].usage is not None


class Thief(Recorder):
    """Takes the status of the child that ends first, as some libraries do. The native engine is quicker.

    The child ends once ``path`` is there.
    """

    def __init__(self, path) -> None:
        super().__init__()
        self.path = path

    def task_output(self, number, task, stream, data) -> None:
        super().task_output(number, task, stream, data)
        self.path.touch()
        os.waitpid(-1, 0)


def test_status_that_another_waiter_took_is_lost_and_not_ok(tmp_path):
    command = f"echo x; until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    ran = Ran(exec_("a", command), recorder=Thief(tmp_path / "go"), engine="python")
    assert ran.status("a") == ("failed", "exit status lost")


def test_a_status_that_the_kernel_threw_away_is_lost_and_not_ok(engine):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        ran = Ran(exec_("a", "true"), engine=engine)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert ran.status("a") == ("failed", "exit status lost")


def test_a_background_process_that_keeps_the_output_does_not_hold_up_the_run(engine):
    command = "sleep 1000 & echo $!"
    ran = Ran(exec_("a", command), exec_("b", "echo after", "a"), engine=engine)
    assert ran.status("a")[0] == "ok"
    assert ran.status("b")[0] == "ok"
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind that keeps its output open; it is ended"]


def test_a_background_process_that_ignores_sigterm_is_killed(engine):
    command = "(trap '' TERM; echo ready; while :; do sleep 1000; done) & echo $!"
    ran = Ran(exec_("a", command), engine=engine, grace=0.1)
    pid = next(int(line) for line in ran.recorder.out("a").split() if line.isdecimal())
    assert not alive(pid)


def test_a_background_process_is_read_to_the_end(engine, tmp_path):
    # It prints once the second task has written to the gate, when its own shell is long gone.
    folder = str(tmp_path)
    ran = Ran(
        exec_("a", "mkfifo gate; (read line < gate; echo late; > done; sleep 1000) & exit 0", cwd=folder),
        exec_("b", "echo go > gate; while [ ! -e done ]; do sleep 0.01; done", "a", cwd=folder),
        engine=engine,
        grace=60.0,
    )
    assert ran.recorder.out("a") == "late\n"


DAEMON = "setsid sh -c '{}> left; exec sleep 1000' & echo $!; while [ ! -e left ]; do sleep 0.01; done"


@pytest.mark.parametrize("quiet", ["", "exec >&- 2>&-; "])
def test_a_daemon_is_named_and_ended_at_the_end_of_the_run(engine, tmp_path, quiet):
    ran = Ran(exec_("a", DAEMON.format(quiet), cwd=str(tmp_path)), engine=engine)
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind; it is ended"]


@pytest.mark.parametrize("program", ["sh -c '> ready; exec sleep 1000'", f"{sys.executable} first.py"])
@pytest.mark.parametrize("session", ["", "setsid "])
def test_silent_process_that_stays_is_named_and_ended_at_the_end_of_the_run(engine, tmp_path, program, session):
    # The second one goes on without the thread that it began with, and looks like a zombie.
    (tmp_path / "first.py").write_text(f"open('ready', 'w')\n{WITHOUT_FIRST_THREAD}")
    # What runs has its output elsewhere by then.
    waits = "while [ ! -e ready ]; do sleep 0.01; done"
    ends = "; while [ -e /proc/$!/exe ]; do sleep 0.01; done" if "first" in program else ""
    command = f"{session}{program} > /dev/null 2>&1 & echo $!; {waits}{ends}"
    ran = Ran(exec_("a", command, cwd=str(tmp_path)), engine=engine)
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind; it is ended"]


def test_a_daemon_that_ignores_sigterm_is_killed(engine, tmp_path):
    ran = Ran(exec_("a", DAEMON.format('trap "" TERM; '), cwd=str(tmp_path)), engine=engine, grace=0.1)
    assert not alive(int(ran.recorder.out("a")))


@pytest.mark.parametrize("command", [DAEMON.format(""), "sleep 1000 & echo $!"])
def test_processes_of_a_detached_command_live_on_unnamed(engine, tmp_path, command):
    ran = Ran(exec_("a", command, cwd=str(tmp_path), detach=True), engine=engine)
    pid = int(ran.recorder.out("a"))
    try:
        assert alive(pid)
        assert ran.warnings == []
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_daemon_without_the_mark_that_keeps_the_output_is_named(engine, tmp_path):
    daemon = "env -i setsid sh -c '> left; exec sleep 1000' & echo $!; while [ ! -e left ]; do sleep 0.01; done"
    ran = Ran(exec_("a", daemon, cwd=str(tmp_path)), engine=engine)
    pid = int(ran.recorder.out("a"))
    try:
        assert alive(pid)
        assert ran.warnings == ["a: left a process behind that keeps its output open; it left its session and lives on"]
    finally:
        os.kill(pid, signal.SIGKILL)


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


def test_a_process_that_cannot_be_watched_is_asked_again_and_again(monkeypatch, engine):
    tasks = [
        exec_("a", "echo x; sleep 0.02; exit 3"),
        exec_("b", "kill -TERM $$"),
        exec_("c", "head -c 300000 /dev/zero"),
        exec_("d", "sleep 1000 & echo $!"),
        exec_("e", "echo after", "d"),
    ]
    ran = Ran(*tasks, recorder=Unwatchable(monkeypatch), engine=engine)
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


def test_where_groups_cannot_be_looked_at_open_pipes_tell(monkeypatch, engine):
    monkeypatch.setattr(lingering, "live_groups", lambda: None)
    ran = Ran(exec_("a", "sleep 1000 & echo $!"), engine=engine)
    assert ran.status("a") == ("ok", "")
    assert not alive(int(ran.recorder.out("a")))

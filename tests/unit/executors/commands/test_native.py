"""The native engine alone: its threads beside Python's, descriptors that are closed, and calls of C that fail."""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import select
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from fastrun.executors.commands.engine import BROKEN, EXITED, LISTED, REFUSED, RETURNED, STARTED, Event
from tests.support import engines
from tests.support.documents import eval_, exec_
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, wait_for
from tests.support.runs import Ran, shared

STDOUT = 1

pytest.importorskip(engines.NAME, reason="the native engine is not built here")
native = importlib.import_module("fastrun.executors.commands.native")

needs_compiler = pytest.mark.skipif(engines.COMPILER is None, reason="calls of C fail in a build of its own: no gcc")


@pytest.fixture(scope="session")
def faulty_build(tmp_path_factory) -> Path:
    return engines.build_with_faults(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def patient_build(tmp_path_factory) -> Path:
    """As above, but it waits for others however long they take on a busy machine."""
    options = f"-DDOUBT_MS={1000 * LIMIT}", f"-DLATE_MS={1000 * LIMIT}", f"-DHOLD_S={LIMIT}"
    return engines.build_with_faults(tmp_path_factory.mktemp("engine"), *options)


def use(path: Path, monkeypatch):
    monkeypatch.setattr(native, "_engine", engines.load(path))
    library = ctypes.CDLL(os.fspath(path))
    yield library
    library.fault_begin(b"", 0, 0, 0)
    library.fault_slow_down(b"", 0, 0)


@pytest.fixture
def faulty(faulty_build, monkeypatch):
    """The library of an engine with injected faults, which is native's for the time of a test."""
    yield from use(faulty_build, monkeypatch)


@pytest.fixture
def patient(patient_build, monkeypatch):
    yield from use(patient_build, monkeypatch)


class Alone:
    """An engine without a run: what it tells is kept in ``events``."""

    def __init__(self, limit: int = 4, workers: int = 1, *, fail_fast: bool = False) -> None:
        self.events: list[Event] = []
        self.null = os.open("/dev/null", os.O_RDWR)
        self.engine: Any = native._engine.Engine(
            b"PATH=/bin:/usr/bin\0", -1, self.null, 0o22, -1, 0, 0, workers, 2, 1 << 22, fail_fast
        )
        self.engine.go_on(limit, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
        os.close(self.null)

    def submit(self, *commands: str) -> None:
        """Queue a chain, of which each command stands for itself."""
        specs: list[Any] = []
        for command in commands:
            texts = f"/bin/sh\0sh\0-c\0{command}\0FASTRUN_TASK=a\0\0"
            specs.append((command, 3, 1, LISTED, texts.encode()))
        self.engine.submit(specs, 1_000_000)

    def take(self) -> None:
        self.events += self.engine.collect(True)

    def of(self, kind: int, *processes: str) -> list[Event]:
        return [event for event in self.events if event[0] == kind and (not processes or event[1] in processes)]

    def wait(self, kind: int, *processes: str) -> Event:
        """Return the first event of a kind, once it has come."""

        def come() -> bool:
            select.select([self.engine.descriptor], [], [], 0.01)
            self.take()
            return bool(self.of(kind, *processes))

        wait_for(come)
        return self.of(kind, *processes)[0]


@needs_compiler
def test_a_look_beside_a_thread_that_has_the_same_event_does_not_wait_for_output(faulty):
    # The thread has been told of the output, and reads it after Python's thread has.
    faulty.fault_slow_down(b"epoll_waited", 30_000, 0)
    with Alone(limit=8) as alone:
        commands = [f"sleep 0.{i}; echo x; exec sleep {LIMIT}" for i in range(1, 9)]
        for each in commands:
            alone.submit(each)
        while len(alone.of(STDOUT)) < 8:
            time.sleep(0.007)
            alone.engine.look()
            alone.take()
        for _ in range(10):
            time.sleep(0.007)
            alone.engine.look()
        alone.take()
        # Nothing has waited for the end of a command.
        assert not alone.of(EXITED)
        for event in alone.of(STARTED):
            os.killpg(event[2], signal.SIGKILL)
        for each in commands:
            alone.wait(EXITED, each)


@needs_compiler
def test_a_chain_goes_on_after_an_exit_that_pythons_thread_has_found(faulty):
    # The thread has seen that there is nothing to start, and waits only after Python's thread has found the exit.
    faulty.fault_slow_down(b"epoll_wait", 30_000, 0)
    with Alone() as alone:
        for i in range(10):
            first, last = f"sleep 0.0{i}; true {i}", f"echo {i}"
            alone.submit(first, last)
            while not alone.of(EXITED, first):
                alone.engine.signal("none", signal.SIGCONT, True)
                alone.take()
            alone.wait(EXITED, last)


def descriptors(*kinds: str) -> set[int]:
    """Return the descriptors of this process of some kinds."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") in kinds:
                found.add(int(name))
        except FileNotFoundError:
            pass
    return found


@pytest.mark.usefixtures("pidfds_given_up")
@pytest.mark.parametrize("kinds", [("eventpoll",), ("eventfd",), ("eventpoll", "eventfd"), ("pidfd",)], ids="+".join)
def test_a_thread_goes_on_without_descriptors_that_a_snippet_has_closed(kinds, tmp_path):
    names = [f"anon_inode:[{kind}]" for kind in kinds]
    before = descriptors(*names)
    # The engine itself closes none of them while the first runs.
    first, second = f"echo first; until [ -e {tmp_path}/go ]; do sleep 0.01; done", "echo second"
    with Alone() as alone:
        alone.submit(first)
        alone.wait(STARTED)
        for descriptor in descriptors(*names) - before - {alone.engine.descriptor}:
            os.close(descriptor)
        (tmp_path / "go").touch()
        alone.submit(second)
        for command, printed in ((first, b"first\n"), (second, b"second\n")):
            assert alone.wait(EXITED, command)[2] == 0
            assert b"".join(event[2] for event in alone.of(STDOUT, command)) == printed
        assert len(alone.of(BROKEN)) <= 1


def test_an_exit_that_nothing_tells_of_is_found_while_another_command_prints(tmp_path):
    kind = "anon_inode:[pidfd]"
    prints = f"until [ -e {tmp_path}/seen ]; do echo x; sleep 0.05; done"
    exits = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; exit 3"
    with Alone() as alone:
        alone.submit(prints)
        alone.wait(STARTED)
        before = descriptors(kind)
        alone.submit(exits)
        alone.wait(STARTED, exits)
        (pidfd,) = descriptors(kind) - before
        os.close(pidfd)
        (tmp_path / "go").touch()
        assert alone.wait(EXITED, exits)[2] == 3
        (tmp_path / "seen").touch()
        alone.wait(EXITED, prints)


@pytest.mark.usefixtures("pidfds_given_up")
def test_closing_an_engine_closes_nothing_that_has_taken_a_number_of_its_own(tmp_path):
    before = descriptors("anon_inode:[eventpoll]")
    with Alone() as alone:
        # At its end the thread waits anew, by the number.
        alone.submit(f"until [ -e {tmp_path}/go ]; do sleep 0.01; done")
        alone.wait(STARTED)
        (epoll,) = descriptors("anon_inode:[eventpoll]") - before
        os.dup2(alone.null, epoll)
        (tmp_path / "go").touch()
        alone.wait(BROKEN)
        alone.wait(EXITED)
    os.fstat(epoll)
    os.close(epoll)


def submit_slowly(faulty: ctypes.CDLL, alone: Alone, command: str, microseconds: int) -> None:
    """Submit a command whose start takes long, and wait until its start is under way."""
    faulty.fault_slow_down(b"vfork", microseconds, 1)
    alone.submit(command)
    left = ctypes.c_int.in_dll(faulty, "fault_slow_calls")
    wait_for(lambda: left.value == 0)


@needs_compiler
def test_commands_that_several_threads_start_are_told_in_the_order_in_which_they_were_handed_over(faulty):
    # The second command has ended by the time that the first has become itself.
    with Alone(workers=2) as alone:
        submit_slowly(faulty, alone, "true first", 200_000)
        alone.submit("true second", "true third")
        for each in ("true first", "true second", "true third"):
            alone.wait(EXITED, each)
    told = [event[:2] for event in alone.events]
    assert told[0] == (STARTED, "true first")
    behind = [event for event in told if event[1] != "true first"]
    assert behind == [(kind, each) for each in ("true second", "true third") for kind in (STARTED, EXITED)]


@needs_compiler
def test_what_is_given_back_of_a_chain_is_told_behind_the_exit_before_it(faulty, tmp_path):
    second = f"touch {tmp_path}/started; until [ -e {tmp_path}/taken ]; do sleep 0.01; done"
    with Alone(workers=2) as alone:
        submit_slowly(faulty, alone, "true first", 200_000)
        alone.submit(second, "true third")
        wait_for((tmp_path / "started").exists)
        alone.engine.take_back()
        (tmp_path / "taken").touch()
        alone.wait(RETURNED)
        alone.wait(EXITED, "true first")
    told = [event[:2] for event in alone.events if event[1] != "true first"]
    assert told == [(STARTED, second), (EXITED, second), (RETURNED, "true third")]


@needs_compiler
def test_a_start_that_takes_long_does_not_hold_up_what_is_told_of_others_for_ever(faulty):
    with Alone(workers=2) as alone, ExitStack() as before_the_end:
        # The engine is closed only once no start is under way.
        before_the_end.callback(faulty.fault_slow_down, b"", 0, 0)
        submit_slowly(faulty, alone, "true first", 1_000_000_000)
        alone.submit("true second")
        alone.wait(EXITED, "true second")
        assert not alone.of(STARTED, "true first")
        faulty.fault_slow_down(b"", 0, 0)
        alone.wait(EXITED, "true first")


def test_commands_that_become_ready_together_start_in_the_order_of_the_document():
    tasks = [{**exec_(str(i), ""), "arguments": ["/bin/true"]} for i in range(1_000)]
    recorder = Recorder()
    Ran(*tasks, recorder=recorder, engine="native", jobs=4)
    started = [int(event[1]) for event in recorder.events if event[0] == "task_started"]
    assert started == list(range(1_000))


@needs_compiler
def test_without_any_thread_commands_are_refused_until_there_is_one(faulty):
    with Alone() as alone:
        for nth in (1, 2):
            faulty.fault_begin(b"pthread_create", 1, 0, errno.EAGAIN)
            alone.submit(f"true {nth}", "true")
            assert alone.wait(REFUSED, f"true {nth}")[2] == errno.EAGAIN
        alone.engine.go_on(4, 0)
        alone.submit("true 3")
        assert alone.wait(EXITED, "true 3")[2] == 0


@needs_compiler
@pytest.mark.parametrize("kind", ["Py_BuildValue", "PyList_Append"])
def test_events_that_python_has_no_memory_for_come_later_once_and_in_order(faulty, kind):
    faulty.fault_begin(kind.encode(), 2, 2, 0)
    with Alone() as alone:
        commands = [f"echo {i}" for i in range(20)]
        for command in commands:
            alone.submit(command)
        for command in commands:
            alone.wait(EXITED, command)
    for command in commands:
        assert [event[0] for event in alone.events if event[1] == command] == [STARTED, STDOUT, EXITED]


def test_nothing_starts_before_python_has_acted_on_a_failure(tmp_path):
    def waits(name: str) -> str:
        return f"until [ -e {tmp_path}/{name} ]; do sleep 0.01; done"

    bad, witness = f"{waits('bad')}; exit 3", f"{waits('once')}; echo once; {waits('twice')}; echo twice"
    with Alone(fail_fast=True) as alone:
        for command in (bad, witness):
            alone.submit(command)
            alone.wait(STARTED, command)
        while alone.engine.collect(True):
            pass
        (tmp_path / "bad").touch()
        # The thread has handled the exit, and Python has not been told.
        select.select([alone.engine.descriptor], [], [])
        alone.engine.go_on(4, 0)
        alone.submit("true")
        # The thread looks for something to start before each wait, and has waited between these two.
        for name, printed in (("once", b"once\n"), ("twice", b"once\ntwice\n")):
            (tmp_path / name).touch()
            while b"".join(event[2] for event in alone.of(STDOUT, witness)) != printed:
                alone.take()
        assert alone.of(EXITED, bad)
        assert not alone.of(STARTED, "true")
        alone.engine.go_on(4, 1)
        alone.wait(EXITED, "true")
        alone.wait(EXITED, witness)


@pytest.fixture
def pidfds_given_up():
    """Close the processes' descriptors that an engine has given up: they may have been another's."""
    before = descriptors("anon_inode:[pidfd]")
    yield
    for descriptor in descriptors("anon_inode:[pidfd]") - before:
        os.close(descriptor)


class Detailed(Recorder):
    """Keeps whether it is known what commands have used: not of a command whose output stays open.

    ``ended``: set when so many commands have ended.
    """

    detailed = True

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.used: list[bool] = []
        self.ended = threading.Event()

    def task_ended(self, number, task, outcome) -> None:
        super().task_ended(number, task, outcome)
        if task.type == "exec":
            self.used.append(outcome.usage is not None)
            if len(self.used) == self.count:
                self.ended.set()


@needs_compiler
def test_a_copy_that_a_snippet_makes_keeps_no_end_of_a_commands_pipes(patient):
    patient.fault_slow_down(b"vfork", 10_000, 0)
    source = (
        "import os, shared, signal, time\n"
        "pids = []\n"
        "for _ in range(10):\n"
        "    pids.append(os.fork())\n"
        "    if not pids[-1]: signal.pause()\n"
        "    time.sleep(0.005)\n"
        f"print(shared.ended.wait({LIMIT / 2}))\n"
        "for pid in pids: os.kill(pid, 9); os.waitpid(pid, 0)\n"
    )
    recorder = Detailed(20)
    tasks = [exec_(f"c{i}", "true") for i in range(20)]
    with shared(ended=recorder.ended):
        ran = Ran(*tasks, eval_("s", source), recorder=recorder, engine="native", jobs=2)
    assert ran.report.ok
    # A command whose output a copy had would have been waited for until the copy was killed.
    assert ran.recorder.out("s") == "True\n"
    assert recorder.used == [True] * 20


@needs_compiler
@pytest.mark.usefixtures("patient")
def test_what_commands_have_used_is_known_with_several_threads_that_start_them():
    # Each child has the writing ends of all pipes that are being made, until it has become its command.
    recorder = Detailed(300)
    Ran(*(exec_(f"c{i}", "true") for i in range(300)), recorder=recorder, engine="native", jobs=8)
    assert recorder.used == [True] * 300

"""What /proc says of real processes: alive, dying, dead, with threads and without the first of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from fastrun.executors.guardian import groups, proc
from fastrun.executors.guardian.proc import (
    Identity,
    environment,
    goes_on,
    memory_of_sessions,
    process_ids,
    read_stat,
    start_time,
)
from tests.support.processes import WITHOUT_FIRST_THREAD, wait_for

WITH_THREADS = """
import threading, time
for _ in range(8):
    threading.Thread(target=time.sleep, args=(1000,)).start()
print(flush=True)
"""

PROGRAMS = {
    "a thread": ["sh", "-c", "echo; exec sleep 1000"],
    "many threads": [sys.executable, "-c", WITH_THREADS],
    "all but the first thread": [sys.executable, "-c", f"print(flush=True){WITHOUT_FIRST_THREAD}"],
}


@contextmanager
def running(command: list[str]):
    """A process in a group of its own that has written a line. Yields its id."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_is_dying_as_soon_as_it_was_sent_a_deadly_signal(program, number):
    with running(PROGRAMS[program]) as pid:
        if "but" in program:
            wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe"))
        identity = Identity(pid, start_time(pid))
        assert goes_on(pid)
        assert identity.lives()
        assert groups.staying_groups({pid}) == {pid}
        os.kill(pid, number)
        assert not goes_on(pid)
        assert groups.staying_groups({pid}) == set()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert not identity.lives()
        assert pid not in (groups.live_groups() or {pid})
        assert environment(pid) == b""


def test_a_process_that_ignores_a_signal_or_is_stopped_goes_on():
    with running(["sh", "-c", "trap '' TERM; echo; exec sleep 1000"]) as pid:
        os.kill(pid, signal.SIGTERM)
        assert goes_on(pid)
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        assert goes_on(pid)


def test_fields_are_told_apart_whatever_the_name():
    code = "open('/proc/self/comm', 'w').write(') R 1 (2 3'); print(flush=True); open(0).read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = read_stat(process.pid)
        assert found is not None
        assert (found.pgrp, found.session, found.num_threads) == (process.pid, os.getsid(0), 1)


def test_a_process_that_does_not_exist_has_nothing():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert process.pid not in process_ids()
    assert read_stat(process.pid) is None
    assert start_time(process.pid) == 0
    assert environment(process.pid) == b""
    assert not goes_on(process.pid)


@pytest.fixture
def other_numbers(monkeypatch):
    """A /proc in which this process has another number, as the machine's has for a process of a container."""
    proc._is_ours.cache_clear()
    monkeypatch.setattr(os, "readlink", lambda _: str(os.getpid() + 1))
    yield
    proc._is_ours.cache_clear()


def test_processes_under_other_numbers_are_not_seen(other_numbers):
    assert process_ids() == []
    assert read_stat(os.getpid()) is None
    assert start_time(os.getpid()) == 0
    assert groups.live_groups() is None


def test_without_a_start_only_living_children_live(other_numbers):
    with subprocess.Popen(["sleep", "1000"]) as process:
        child = Identity(process.pid, 0)
        assert child.lives()
        groups.signal_process(child, [signal.SIGKILL])
        wait_for(lambda: not child.lives())
        process.wait()
    assert not child.lives()
    assert not Identity(os.getppid(), 0).lives()


def test_process_that_has_taken_its_deadly_signal_does_not_go_on():
    # For a moment, which may be long on a busy machine, the signal is no longer pending and the exit has not begun.
    own = proc.read_stat(os.getpid())
    assert own is not None
    assert not proc._is_dying(own)
    assert proc._is_dying(own._replace(flags=own.flags | 0x400))


def test_process_that_blocks_all_signals_for_a_moment_may_be_dying(monkeypatch):
    # As a child does in its first moments, which may be long on a busy machine.
    source = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print("blocked", flush=True)
input()
signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
"""
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()

        def moment_passes(_):
            process.communicate(b"\n")

        # The moment lies between the first two looks, however busy the machine is.
        monkeypatch.setattr(time, "sleep", moment_passes)
        assert not goes_on(process.pid)
    assert process.returncode == -signal.SIGTERM


def test_the_last_number_changes_with_each_process_and_thread():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    before = proc.last_process_id()
    thread.start()
    after = proc.last_process_id()
    assert 0 != before != after
    assert thread.native_id is not None
    assert proc.is_thread(thread.native_id)
    assert thread.native_id not in process_ids()
    assert not proc.is_thread(os.getpid())
    ended.set()
    thread.join()
    with subprocess.Popen(["true"]) as process:
        assert proc.last_process_id() != after
    assert not proc.is_thread(process.pid)


def test_memory_is_summed_by_session(tmp_path):
    page = os.sysconf("SC_PAGE_SIZE")
    for pid, session, pages in ((7, 7, 3), (8, 7, 4), (9, 9, 1)):
        (tmp_path / str(pid)).mkdir()
        rest = " ".join(["0"] * 17)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a ) b) S 1 {pid} {session} {rest} {pages} 0\n")
    # One that has ended meanwhile, one that says nothing, and what is no process.
    (tmp_path / "10").mkdir()
    (tmp_path / "11").mkdir()
    (tmp_path / "11" / "stat").write_text("")
    (tmp_path / "self").mkdir()
    assert memory_of_sessions(str(tmp_path)) == {7: 7 * page, 9: page}
    assert memory_of_sessions(str(tmp_path / "none")) == {}


def test_the_memory_of_this_session_is_no_less_than_that_of_this_process():
    assert memory_of_sessions()[os.getsid(0)] > 1 << 20

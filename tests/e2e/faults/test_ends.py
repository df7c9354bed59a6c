"""Signals to fastrun, and its end: what becomes of its tasks."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fastrun.executors.guardian.proc import read_stat
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, alive, fastrun_process, report_of, wait_for

pytestmark = pytest.mark.usefixtures("engine")

WAITS = "echo $$ > pid; exec sleep 1000"


def _pid(folder: Path) -> int:
    wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text().endswith("\n"))
    return int((folder / "pid").read_text())


def _state(pid: int) -> str:
    found = read_stat(pid)
    return found.state.decode() if found is not None else ""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_starts_nothing_more_and_ends_tasks_with_grace(tmp_path, name):
    trap = "trap 'echo cleaned; exit 1' TERM; echo $$ > pid; while :; do sleep 0.01; done"
    tasks = [exec_("a", trap), exec_("b", "touch never", "a"), eval_("c", "x = 1", "a")]
    with fastrun_process(write_json(tmp_path, document(*tasks)), cwd=tmp_path) as process:
        _pid(tmp_path)
        process.send_signal(signal.Signals[name])
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 128 + signal.Signals[name]
    assert b"\ncleaned\n" in out
    assert report_of(out) == {"a": ("interrupted", "")}
    assert b"3 interrupted (2 not started)" in out
    assert not (tmp_path / "never").exists()


def test_second_sigint_ends_at_once(tmp_path):
    tasks = [exec_("a", "trap 'touch asked' TERM; echo $$ > pid; while :; do sleep 0.01; done")]
    with fastrun_process("--grace", "1000", write_json(tmp_path, document(*tasks)), cwd=tmp_path) as process:
        pid = _pid(tmp_path)
        process.send_signal(signal.SIGINT)
        wait_for((tmp_path / "asked").exists)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
        assert process.returncode == 130
    assert not alive(pid)


def test_groups_are_stopped_and_continued_with_the_runner(tmp_path):
    # With no process of its own: a shell that waits for one to begin does not stop before it has begun.
    tasks = [exec_("a", "echo $$ > pid; while test ! -e go; do :; done; echo went on")]
    with fastrun_process(write_json(tmp_path, document(*tasks)), cwd=tmp_path) as process:
        pid = _pid(tmp_path)
        process.send_signal(signal.SIGTSTP)
        wait_for(lambda: _state(process.pid) == "T" and _state(pid) == "T")
        (tmp_path / "go").touch()
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert b"\nwent on\n" in out


def test_time_in_which_the_runner_is_stopped_is_no_tasks_time(tmp_path):
    command = "echo $$ > pid; read -r line < fifo; echo $line; read -r line < fifo; echo $line"
    os.mkfifo(tmp_path / "fifo")
    fifo = os.open(tmp_path / "fifo", os.O_RDWR)
    try:
        for seconds in (3, 30):
            path = write_json(tmp_path, document(exec_("a", command, timeout=seconds)))
            began = time.monotonic()
            with fastrun_process(path, cwd=tmp_path) as process:
                _pid(tmp_path)
                process.send_signal(signal.SIGTSTP)
                wait_for(lambda: _state(process.pid) == "T")
                stopped = time.monotonic()
                time.sleep(seconds + 0.1)
                stopped = time.monotonic() - stopped
                process.send_signal(signal.SIGCONT)
                os.write(fifo, b"on\n")
                # What it prints is passed on after it would have been asked to end.
                assert process.stdout is not None
                while process.stdout.readline() not in (b"on\n", b""):
                    pass
                os.write(fifo, b"in time\n")
                out, _ = process.communicate(timeout=LIMIT)
            if time.monotonic() - began - stopped < seconds:
                break
            # It may have taken that long without the stop.
            (tmp_path / "pid").unlink()
    finally:
        os.close(fifo)
    assert report_of(out) == {"a": ("ok", "")}


# Seconds that a task may take, one after the other, until it gets as far as it is to.
TIMES = (0.2, 2, 20)


def test_task_whose_time_is_over_is_not_told_again_when_the_runner_goes_on(tmp_path):
    asked = "trap 'echo asked >> log' TERM; echo $$ > pid; until [ -e go ]; do sleep 0.01; done; exit 3"
    log = tmp_path / "log"
    for seconds in TIMES:
        path = write_json(tmp_path, document(exec_("a", asked, timeout=seconds)))
        with fastrun_process("--grace", "1000", path, cwd=tmp_path) as process:
            # Else it was asked to end before it had said what it does then.
            wait_for(lambda: log.exists() or process.poll() is not None)
            for _ in range(3 * log.exists()):
                process.send_signal(signal.SIGTSTP)
                wait_for(lambda: _state(process.pid) == "T")
                process.send_signal(signal.SIGCONT)
                wait_for(lambda: _state(_pid(tmp_path)) != "T")
            (tmp_path / "go").touch()
            out, err = process.communicate(timeout=LIMIT)
        if log.exists():
            break
        (tmp_path / "go").unlink()
    assert log.read_text() == "asked\n"
    assert report_of(out) == {"a": ("failed", f"timed out after {seconds} s")}
    assert [line for line in err.splitlines() if b"fastrun" in line] == [
        f"fastrun: a: timed out after {seconds} s".encode()
    ]


def test_stopped_runner_that_is_killed_leaves_nothing(tmp_path):
    with fastrun_process(write_json(tmp_path, document(exec_("a", WAITS))), cwd=tmp_path) as process:
        pid = _pid(tmp_path)
        process.send_signal(signal.SIGTSTP)
        wait_for(lambda: _state(process.pid) == "T")
        process.kill()
        process.communicate(timeout=LIMIT)
        wait_for(lambda: not alive(pid))


@pytest.mark.parametrize("command", [WAITS, f"setsid -f sh -c '{WAITS}'; cat fifo", "trap '' TERM HUP; " + WAITS])
def test_kill_9_of_the_runner(tmp_path, command):
    os.mkfifo(tmp_path / "fifo")
    with fastrun_process(write_json(tmp_path, document(exec_("a", command))), cwd=tmp_path) as process:
        pid = _pid(tmp_path)
        # The command may be further than who started it, and has no name before that.
        assert process.stdout is not None
        assert process.stdout.readline() == b"Started: a\n"
        process.kill()
        _, said = process.communicate(timeout=LIMIT)
        wait_for(lambda: not alive(pid))
    assert b"fastrun: fastrun died; ended " in said
    assert b"commands that ran then: a" in said

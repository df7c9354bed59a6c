"""Real commands that leave processes behind: which of them are named, and what becomes of them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from fastrun.executors.commands import lingering
from fastrun.executors.guardian import groups
from fastrun.executors.guardian.proc import process_ids
from fastrun.text import printable
from tests.support.documents import exec_
from tests.support.fakes import OutOfTime
from tests.support.processes import LIMIT, alive
from tests.support.runs import Ran

# Prints the number of a process that does something when it is asked to end, and waits for it. The shell prints by
# itself: another process that had the output might not have ended when the shell has.
ASKED = """
sh -c 'trap "{}" TERM; {} echo $$ > left; while :; do sleep 0.01; done' & until [ -s left ]; do sleep 0.01; done
read -r left < left; echo $left; wait
"""


def test_a_process_that_ends_when_it_is_asked_to_is_not_left_behind(engine, tmp_path, monkeypatch):
    # It takes until the executor waits for its group.
    looks = groups.live_groups

    def look():
        (tmp_path / "waited").touch()
        return looks()

    monkeypatch.setattr(lingering, "live_groups", look)
    command = ASKED.format("until [ -e waited ]; do sleep 0.01; done; exit", "")
    task = exec_("a", command, cwd=str(tmp_path), timeout=LIMIT)
    ran = Ran(task, engine=engine, grace=LIMIT, recorder=OutOfTime())
    assert not alive(int(ran.recorder.out("a")))
    assert ran.status("a") == ("failed", f"timed out after {LIMIT} s")
    assert ran.warnings == []


@pytest.mark.parametrize("quiet", [False, True])
def test_a_process_that_does_not_end_when_it_is_asked_to_is_named_and_ended(engine, tmp_path, monkeypatch, quiet):
    recorder = OutOfTime()
    looks = groups.live_groups

    def look():
        # The command has ended, and its group is waited for: now its time is really over, however long that took.
        asyncio.get_running_loop().call_soon(recorder.run._deadlines._time_is_really_over, 0)
        return looks()

    monkeypatch.setattr(lingering, "live_groups", look)
    task = exec_("a", ASKED.format("", "exec >&- 2>&-;" if quiet else ""), cwd=str(tmp_path), timeout=LIMIT)
    ran = Ran(task, engine=engine, grace=LIMIT, recorder=recorder)
    assert not alive(int(ran.recorder.out("a")))
    keeps = "" if quiet else " that keeps its output open"
    assert ran.warnings == [f"a: left a process behind{keeps}; it is ended"]


def test_a_process_that_left_its_session_is_read_on_when_its_tasks_time_is_over(engine, tmp_path, monkeypatch):
    class OutOfAllTime(OutOfTime):
        def task_ended(self, number, task, outcome) -> None:
            super().task_ended(number, task, outcome)
            if task.name == "a":
                asyncio.get_running_loop().call_soon(self.run._deadlines._time_is_really_over, 0)

    def look():
        # After the group was killed.
        (tmp_path / "waited").touch()
        return groups.live_groups()

    monkeypatch.setattr(lingering, "live_groups", look)
    tasks = [
        exec_("a", "setsid sh -c 'echo $$; exec sleep 1000' & wait", timeout=LIMIT),
        exec_("b", "until [ -e waited ]; do sleep 0.01; done", cwd=str(tmp_path)),
    ]
    ran = Ran(*tasks, engine=engine, recorder=OutOfAllTime())
    assert not alive(int(ran.recorder.out("a")))
    assert ran.warnings == ["a: left a process behind; it is ended"]


MANY = 'for i in $(seq 100); do sleep 1000 & all="$all $!"; done; echo; '


def test_processes_that_die_of_the_signal_they_got_are_not_left_behind(engine):
    ran = Ran(exec_("a", f"{MANY}wait", timeout=LIMIT), engine=engine, grace=0.0, recorder=OutOfTime())
    assert ran.status("a")[0] == "failed"
    assert ran.warnings == []


def test_processes_that_the_command_itself_has_killed_are_not_left_behind(engine):
    ran = Ran(exec_("a", f"{MANY}kill $all"), engine=engine)
    assert ran.status("a") == ("ok", "")
    assert ran.warnings == []


@pytest.mark.parametrize("left", [MANY, "setsid sleep 1000 & "], ids=["many", "in a session of its own"])
def test_processes_that_are_killed_before_the_next_attempt_do_not_live_on(engine, left):
    command = f"if [ $FASTRUN_ATTEMPT = 1 ]; then {left} exit 1; fi"
    ran = Ran(exec_("a", command, retries=1, retry_delay=0), engine=engine)
    assert ran.status("a") == ("ok", "attempt 2 of 2")
    assert ran.warnings == []


NAMES = ["n\n", "x" * 300, "nul\0", "##[group]", "x" * 200_000]


@pytest.mark.parametrize("name", NAMES, ids=["line", "long", "NUL", "command", "too long"])
def test_what_an_attempt_left_is_found_whatever_the_name_of_its_task(engine, tmp_path, name):
    looks = "grep -s '^State:.*[RSDT]' /proc/$(cat left)/status && echo beside; exit 0"
    # It has left its session and closed its output by the time that the command ends.
    begins = "setsid sh -c '> {0}.began; exec sleep 1000' > /dev/null 2>&1 & echo $! > {0}"
    daemon = f"{begins}; until [ -e {{0}}.began ]; do sleep 0.01; done"
    command = f"if [ $FASTRUN_ATTEMPT = 1 ]; then {daemon.format('left')}; exit 1; fi; {looks}"
    # The name of another task, of which nothing is killed. Where it is shown, a long one looks the same.
    other = exec_(name[:250] + "y" * 10, daemon.format("other"), cwd=str(tmp_path))
    ran = Ran(exec_(name, command, cwd=str(tmp_path), retries=1, retry_delay=0), other, engine=engine)
    assert ran.status(name) == ("ok", "attempt 2 of 2")
    assert ran.recorder.out(name) == ""
    assert ran.warnings == [f"{printable(other['name'])}: left a process behind; it is ended"]


def test_a_group_that_does_not_die_is_named(tmp_path, monkeypatch):
    # As one that waits for a broken disk. What keeps the output open is a process without a mark.
    monkeypatch.setattr(lingering, "live_groups", lambda: set(process_ids()))
    daemon = "env -i setsid sh -c '> left; exec sleep 1000' & echo $!; while [ ! -e left ]; do sleep 0.01; done"
    ran = Ran(exec_("a", daemon, cwd=str(tmp_path)), grace=0.0)
    os.kill(int(ran.recorder.out("a")), signal.SIGKILL)
    assert ran.warnings == ["a: left a process behind that keeps its output open; it could not be ended"]

"""fastrun as process 1 of a container: orphans, signals and exit statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.containers import ENGINES, fastrun_isolated, first_process, isolated, needs_namespaces
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun_process, report_of
from tests.support.terminals import Terminal

pytestmark = needs_namespaces

# Leaves a process whose parent ends before it.
ORPHAN = "(sh -c 'sleep 0.02 & exit 0' > /dev/null 2>&1 &)"

# Says how many processes are zombies, once there are none or 200 seconds have passed.
COUNT = """
import glob, time

def zombies():
    found = 0
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                found += file.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            pass
    return found

until = time.monotonic() + 200
while (left := zombies()) and time.monotonic() < until:
    time.sleep(0.05)
print("zombies:", left)
"""

# A snippet with children of its own, whose statuses are its own too.
CHILDREN = """
import os, subprocess
for code in range(30):
    assert subprocess.run(["sh", "-c", f"exit {code}"]).returncode == code
    child = os.fork()
    if not child:
        os._exit(code)
    assert os.waitpid(child, 0) == (child, code << 8)
"""

TIDY = "trap 'echo got; sleep 0.3; echo tidied; exit' TERM; echo ready; while :; do sleep 0.01; done"


@pytest.mark.parametrize("engine", ENGINES)
def test_orphans_are_reaped_as_they_come(engine, tmp_path):
    names = [f"t{number}" for number in range(400)]
    path = write_json(tmp_path, document(*(exec_(name, ORPHAN) for name in names), eval_("count", COUNT, *names)))
    result = fastrun_isolated("-j16", path, env=environment(FASTRUN_ENGINE=engine))
    assert result.returncode == 0
    assert b"\nzombies: 0\n" in result.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_storm_of_orphans_takes_no_status(engine, tmp_path):
    commands = [exec_(f"t{number}", f"{ORPHAN}; exit {number % 5}") for number in range(1000)]
    snippets = [eval_(f"s{number}", CHILDREN) for number in range(4)]
    path = write_json(tmp_path, document(*commands, *snippets))
    result = fastrun_isolated("-j16", path, env=environment(FASTRUN_ENGINE=engine))
    assert result.returncode == 1
    expected = [("failed", f"exit status {number % 5}") if number % 5 else ("ok", "") for number in range(1000)]
    found = report_of(result.stdout)
    assert [found[task["name"]] for task in commands] == expected
    assert {found[task["name"]] for task in snippets} == {("ok", "")}


@pytest.mark.parametrize(
    ("number", "code", "to_group"),
    [
        (signal.SIGTERM, 143, False),
        (signal.SIGTERM, 143, True),
        (signal.SIGINT, 130, False),
        (signal.SIGINT, 130, True),
        # To the group it would end unshare, which ignores the others.
        (signal.SIGHUP, 129, False),
    ],
)
def test_signal_reaches_the_run_once(number, code, to_group, tmp_path):
    path = write_json(tmp_path, document(exec_("a", TIDY)))
    with fastrun_process("--grace", "1000", path, prefix=isolated([]), start_new_session=True) as process:
        _read_until(process, b"ready\n")
        if to_group:
            os.killpg(process.pid, number)
        else:
            os.kill(first_process(process.pid), number)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == code
    # A second signal of that kind would have killed the task.
    assert out.startswith(b"got\ntidied\nEnded : a\n")


def test_second_sigint_kills(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "trap 'echo got' TERM; echo ready; while :; do sleep 0.01; done")))
    with fastrun_process("--grace", "1000", path, prefix=isolated([])) as process:
        _read_until(process, b"ready\n")
        first = first_process(process.pid)
        os.kill(first, signal.SIGINT)
        _read_until(process, b"got\n")
        os.kill(first, signal.SIGINT)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 130


def test_interrupt_from_the_terminal_reaches_the_run_once(tmp_path):
    path = write_json(tmp_path, document(exec_("a", TIDY)))
    with Terminal() as terminal:
        process = terminal.start(*isolated([sys.executable, "-m", "fastrun", "--grace", "1000", str(path)]))
        terminal.wait_for(lambda: "ready" in terminal.lines())
        terminal.type(b"\x03")
        assert terminal.finish(process) == 130
        # The terminal itself shows the key, before what is written next.
        assert {"got", "tidied", "Ended : a"} <= {line.removeprefix("^C") for line in terminal.lines()}


def test_run_that_nothing_could_continue_is_not_stopped(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo ready; until [ -e go ]; do sleep 0.01; done; echo went on")))
    with fastrun_process(path, prefix=isolated([]), cwd=tmp_path) as process:
        _read_until(process, b"ready\n")
        os.kill(first_process(process.pid), signal.SIGTSTP)
        (tmp_path / "go").touch()
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert out.startswith(b"went on\n")


@pytest.mark.parametrize(
    ("source", "code"),
    [("1", 0), ("1/0", 1), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_exit_status_is_that_of_the_run(source, code, tmp_path):
    assert fastrun_isolated(write_json(tmp_path, document(eval_("a", source)))).returncode == code


def test_other_exit_statuses_too(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "sleep 1000")))
    assert fastrun_isolated("--nonsense").returncode == 2
    assert fastrun_isolated("--max-time", "0.2", path).returncode == 124


def test_parent_that_ignores_the_ends_of_children_changes_nothing(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"{ORPHAN}; exit 3")))
    result = fastrun_isolated(path, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert result.returncode == 1
    assert report_of(result.stdout) == {"a": ("failed", "exit status 3")}


def _read_until(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdout is not None
    while (found := process.stdout.readline()) != line:
        assert found, "its output has ended"

"""Faults of commands: what they leave behind, what they print, how they end."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from fastrun.executors.guardian.proc import read_stat
from tests.support.amounts import many
from tests.support.documents import document, exec_, write_json
from tests.support.processes import LIMIT, alive, environment, fastrun, fastrun_process, report_of, wait_for

pytestmark = pytest.mark.usefixtures("engine")


def test_background_process_keeps_the_output(tmp_path):
    """The shell's exit decides; what is left is read until the end of the run, then ended and named."""
    tasks = [exec_("a", "(sleep 1000; echo never) & echo $! > pid; echo out"), exec_("b", "sleep 0.2; echo later", "a")]
    result = fastrun(write_json(tmp_path, document(*tasks)), cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.splitlines()[:6] == [
        b"Started: a",
        b"out",
        b"Ended : a",
        b"Started: b",
        b"later",
        b"Ended : b",
    ]
    assert b"a: left a process behind that keeps its output open; it is ended" in result.stderr
    assert not alive(int((tmp_path / "pid").read_text()))


def test_process_that_leaves_its_group_when_it_is_asked_to_end_is_ended(tmp_path):
    # After a while in which only its group is waited for; exec keeps the number that the shell has named.
    leave = "trap 'sleep 0.3; exec setsid sleep 1000 > /dev/null 2>&1' TERM"
    process = f"({leave}; touch ready; while :; do sleep 0.01; done)"
    command = f"{process} & echo $! > pid; until test -e ready; do sleep 0.01; done"
    result = fastrun("--grace", "100", write_json(tmp_path, document(exec_("a", command))), cwd=tmp_path)
    assert result.returncode == 0
    assert b"a: left a process behind" in result.stderr
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("detach", [False, True])
def test_daemon_is_found_by_its_mark_unless_it_is_detached(tmp_path, detach):
    command = "setsid -f sh -c 'echo $$ > pid; exec sleep 1000' > /dev/null 2>&1; while test ! -s pid; do :; done"
    result = fastrun(write_json(tmp_path, document(exec_("a", command, detach=detach))), cwd=tmp_path)
    pid = int((tmp_path / "pid").read_text())
    try:
        assert result.returncode == 0
        assert alive(pid) == detach
        assert (b"a: left a process behind" in result.stderr) != detach
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_processes_that_each_start_the_next_and_end_are_ended(tmp_path):
    chain = "import os\nprint(flush=True)\nfor _ in range(100_000): os.fork() and os._exit(0)"
    # The chain holds the pipe, as long as one of it lives.
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        command = f"setsid {sys.executable} -SEc '{chain}' > pipe 2> /dev/null & read -r line < pipe"
        result = fastrun(write_json(tmp_path, document(exec_("a", command))), cwd=tmp_path)
        os.read(held, 10)
        assert (result.returncode, os.read(held, 1)) == (0, b"")
    finally:
        os.close(held)
    assert result.stderr == b"fastrun: warning: a: left a process behind; it is ended\n"


@pytest.mark.parametrize("where", ["inherited", "of the task"])
def test_mark_is_fastruns_own_whatever_the_environment_says(tmp_path, where):
    # As below a task of another run that may leave processes behind.
    marks = {"FASTRUN_DETACH": "1", "FASTRUN_RUN_ID": "1", "FASTRUN_PART": "1"}
    command = "setsid -f sh -c 'echo $$ > pid; exec sleep 1000' > /dev/null 2>&1; while test ! -s pid; do :; done"
    task = exec_("a", command, env={} if where == "inherited" else marks)
    env = environment(**(marks if where == "inherited" else {}))
    result = fastrun(write_json(tmp_path, document(task)), cwd=tmp_path, env=env)
    pid = int((tmp_path / "pid").read_text())
    try:
        assert not alive(pid)
        assert b"a: left a process behind" in result.stderr
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


MEGABYTES = many("megabytes printed by eight tasks in random chunks", 200, 1_600)

# Prints so many bytes in chunks of any size, lines of any length, and nothing else; says on a file what it was.
PRINTS = """
import hashlib, os, random, sys
number, size = map(int, sys.argv[1:])
choose = random.Random(number)
block = bytearray()
while len(block) < 1 << 20:
    block += b"%d:" % number + choose.randbytes(choose.choice([1, 10, 200, 5_000])).replace(b"\\n", b"") + b"\\n"
total = hashlib.sha256()
while size:
    chunk = bytes(block[: min(size, choose.choice([1, 100, 4_096, 65_536, 1 << 20]))])
    size -= len(chunk)
    total.update(chunk)
    written = 0
    while written < len(chunk):
        written += os.write(1, chunk[written:])
    block = block[len(chunk) :] + chunk
open(f"sum{number}", "w").write(total.hexdigest())
"""


def test_output_of_eight_tasks_is_byte_exact_and_takes_no_memory(tmp_path):
    """Alone each in its own run of lines: those of a task, put together, are what it printed."""
    each = MEGABYTES * 1_000_000 // 8
    (tmp_path / "prints.py").write_text(PRINTS)
    tasks = [exec_(f"t{i}", f"exec {sys.executable} prints.py {i} {each}") for i in range(8)]
    path = write_json(tmp_path, document(*tasks))
    sums = [sha256() for _ in range(8)]
    lasts = [b""] * 8
    got = [0] * 8
    command = [sys.executable, "-m", "fastrun", os.fspath(path)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=tmp_path) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            number = line[0] - ord("0")
            if line[1:2] == b":" and 0 <= number < 8:
                sums[number].update(lasts[number])
                lasts[number] = line
                got[number] += len(line)
            if not count % 1_000:
                peak = peak_memory(process.pid) or peak
    assert process.returncode == 0
    for number in range(8):
        # A last line without an end was given one.
        assert got[number] - each in (0, 1)
        sums[number].update(lasts[number][: len(lasts[number]) - (got[number] - each)])
        assert sums[number].hexdigest() == (tmp_path / f"sum{number}").read_text()
    assert 0 < peak < 150e6


def peak_memory(pid: int) -> int:
    """Bytes, the most that a process had resident since it became what it is; 0 once it has ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def test_line_without_end_takes_no_memory(tmp_path):
    command = "head -c 100000000 /dev/zero | tr '\\0' x"
    path = write_json(tmp_path, document(exec_("a", command)))
    count = peak = 0
    with fastrun_process(path) as process:
        assert process.stdout is not None
        while data := process.stdout.read(1 << 20):
            count += data.count(b"x")
            peak = peak_memory(process.pid) or peak
        assert process.wait(LIMIT) == 0
    assert count == 100_000_000
    assert 0 < peak < 150e6


def test_non_blocking_descriptor_that_is_shared(tmp_path):
    """Standard output is made non-blocking by who has it too; tasks never get it, and nothing is lost."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    command = "seq 100000; test -p /dev/fd/1 && python3 -c 'import os, sys; sys.exit(not os.get_blocking(1))'"
    path = write_json(tmp_path, document(exec_("a", command.replace("python3", sys.executable))))
    process = subprocess.Popen([sys.executable, "-m", "fastrun", path], stdout=write_end, env=environment())
    os.close(write_end)
    with open(read_end, "rb") as file:
        lines = file.read().splitlines()
    assert process.wait(LIMIT) == 0
    assert lines[1:100_001] == [b"%d" % number for number in range(1, 100_001)]


def test_task_opens_its_standard_output_again(tmp_path):
    result = fastrun(write_json(tmp_path, document(exec_("a", "echo one > /dev/stdout; echo two > /dev/stderr"))))
    assert (result.returncode, result.stderr) == (0, b"two\n")
    assert b"\none\n" in result.stdout


@pytest.mark.usefixtures("memory_kept")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGRTMIN+3"])
def test_task_ends_by_a_signal(tmp_path, name):
    number = signal.SIGRTMIN + 3 if "+" in name else signal.Signals[name]
    result = fastrun(write_json(tmp_path, document(exec_("a", f"kill -{int(number)} $$"))))
    shown = f"signal {int(number)}" if "+" in name else name
    assert report_of(result.stdout) == {"a": ("failed", f"killed by {shown}")}


# Seconds that the task may take, one after the other, until it gets as far as it is to.
TIMES = (0.3, 3, 30)


@pytest.mark.parametrize(
    "command",
    ["trap '' TERM; echo $$ > pid; while :; do sleep 0.01; done", "echo $$ > pid; kill -STOP $$"],
    ids=["deaf", "stopped"],
)
def test_task_ignores_sigterm_or_is_stopped(tmp_path, command):
    path = write_json(tmp_path, document(exec_("a", command)))
    pid = tmp_path / "pid"
    for seconds in TIMES:
        result = fastrun("--timeout", str(seconds), "--grace", "0.1", path, cwd=tmp_path)
        assert result.returncode == 1
        assert report_of(result.stdout) == {"a": ("failed", f"timed out after {seconds} s")}
        if pid.exists() and pid.read_text():
            break
    assert not alive(int(pid.read_text()))


def test_number_of_a_leader_is_not_used_again_while_its_group_may_be_signalled(tmp_path):
    """A shell that has ended is not reaped as long as what it left has the output open: its number stays its own."""
    left = "sleep 1000 & echo $$ > leader; exit 0"
    tasks = [exec_("a", left), exec_("b", "cat fifo", "a")]
    os.mkfifo(tmp_path / "fifo")
    with fastrun_process(write_json(tmp_path, document(*tasks)), cwd=tmp_path) as process:
        wait_for(lambda: (tmp_path / "leader").exists() and (tmp_path / "leader").read_text().endswith("\n"))
        leader = int((tmp_path / "leader").read_text())
        with open(tmp_path / "fifo", "w"):
            found = read_stat(leader)
            assert found is not None
            assert found.state == b"Z"
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert not Path(f"/proc/{leader}").exists()


def test_larger_pipe_is_no_reason_to_stop(tmp_path):
    """The user's allowance for larger pipes is used up by others."""
    pipes: list[int] = []
    with suppress(OSError):
        for _ in range(40):
            pipes += os.pipe()
            fcntl.fcntl(pipes[-1], fcntl.F_SETPIPE_SZ, 1 << 20)
    try:
        result = fastrun(write_json(tmp_path, document(exec_("a", "head -c 3000000 /dev/zero | tr '\\0' '\\n'"))))
    finally:
        for descriptor in pipes:
            os.close(descriptor)
    assert result.returncode == 0
    assert re.search(rb"\n{3000000}Ended : a", result.stdout)

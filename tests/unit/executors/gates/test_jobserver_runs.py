"""Runs that take tokens of a jobserver, or serve one, and give back what they took."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

import fastrun as library
from fastrun import Observer
from fastrun.executors.gates.jobserver import Jobserver
from tests.support import leaf
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.jobs import TOKENS, counted, ended
from tests.support.processes import LIMIT, alive, environment, fastrun, fastrun_process, report_of, wait_for


def outcome(name: str, command: str, **more: Any) -> dict[str, Any]:
    """A task that runs beside two others, once all three do."""
    here = "touch here.$FASTRUN_TASK; until [ -e here.a ] && [ -e here.b ] && [ -e here.c ]; do sleep 0.01; done; "
    return exec_(name, here + command, **more)


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (outcome("c", "true"), "ok"),
        (outcome("c", "exit 3"), "failed"),
        (outcome("c", "kill -9 $$"), "failed"),
        # It may be out of time before it has done anything.
        (exec_("c", "sleep 100", timeout=0.2), "failed"),
        (outcome("c", "[ $FASTRUN_ATTEMPT = 3 ]", retries=2, retry_delay=0.01), "ok"),
        (outcome("c", "sleep 100 & exit 0"), "ok"),
        (eval_("c", "open('here.c', 'w').close(); raise SystemExit(3)"), "failed"),
    ],
    ids=["ok", "failed", "killed", "timeout", "retries", "left", "snippet"],
)
def test_tokens_are_given_back_however_a_task_ends(tmp_path, fifo, last, status):
    following = [exec_("d", "true", "a"), exec_("e", "touch here.c", "c", when="failed")]
    path = write_json(tmp_path, document(outcome("a", "true"), outcome("b", "true"), last, *following))
    result = fastrun("--grace", "0.2", path, env=environment(MAKEFLAGS=fifo.flags), cwd=tmp_path)
    report = report_of(result.stdout)
    assert [report[name][0] for name in "abcd"] == ["ok", "ok", status, "ok"], result
    assert fifo.left() == TOKENS


@pytest.mark.parametrize("journal", [False, True])
def test_a_command_that_cannot_start_has_no_token(tmp_path, fifo, journal):
    looks = f"""
import fcntl, os, termios
descriptor = os.open({str(fifo.path)!r}, os.O_RDONLY | os.O_NONBLOCK)
print(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))[0])
os.close(descriptor)
open("looked", "w").close()
"""
    # Two run, of which one has a token, until somebody has looked. They start first, for what is behind them.
    tasks = [exec_(name, "until [ -e looked ]; do sleep 0.01; done") for name in "ab"]
    tasks += [exec_("after", "true", "a", "b"), exec_("later", "true", "after")]
    tasks.append(exec_("c", "true", cwd="missing", allow_failure=True))
    path = write_json(tmp_path, document(*tasks, eval_("d", looks, "c")))
    more = ["--journal", tmp_path / "j"] if journal else []
    result = fastrun(*more, path, env=environment(MAKEFLAGS=fifo.flags), cwd=tmp_path)
    assert report_of(result.stdout)["c"][1].startswith("cannot start: No such file or directory")
    assert b"\n2\n" in result.stdout
    assert fifo.left() == TOKENS


def test_the_documents_jobs_do_not_replace_makes_limit(tmp_path, fifo):
    path = write_json(tmp_path, {"jobs": 1, **document(exec_("a", "true"))})
    result = fastrun(path, env=environment(MAKEFLAGS=fifo.flags))
    # With a limit of its own a run says so.
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"make above are not used" in fastrun("-j1", path, env=environment(MAKEFLAGS=fifo.flags)).stderr


@pytest.mark.parametrize("signals", [["SIGINT"], ["SIGTERM"], ["SIGHUP"], ["SIGINT", "SIGINT"]], ids="-".join)
def test_tokens_are_given_back_after_a_signal(tmp_path, fifo, signals):
    # The second signal ends them, or else the first.
    ends = "" if len(signals) > 1 else "; exit"
    command = f"trap 'touch told.$FASTRUN_TASK{ends}' TERM; touch here.$FASTRUN_TASK; while :; do sleep 0.01; done"
    path = write_json(tmp_path, document(*[exec_(name, command) for name in "abcd"], exec_("e", "true")))
    with fastrun_process(
        path, env=environment(MAKEFLAGS=fifo.flags, FASTRUN_GRACE=str(LIMIT)), cwd=tmp_path
    ) as process:
        wait_for(lambda: len(list(tmp_path.glob("here.*"))) == 4)
        assert fifo.left() == b""
        for name in signals:
            process.send_signal(signal.Signals[name])
            wait_for(lambda: len(list(tmp_path.glob("told.*"))) == 4)
        out, err = process.communicate()
    assert process.returncode == 128 + signal.Signals[signals[0]], err
    assert b"5 interrupted (1 not started)" in out
    assert fifo.left() == TOKENS


def test_the_guardian_gives_tokens_back_when_fastrun_is_killed(tmp_path, fifo):
    tasks = [exec_(name, "echo $$ > here.$FASTRUN_TASK; sleep 100") for name in "abc"]
    tasks.append(exec_("d", "echo $$ > here.d; until [ -e go ]; do sleep 0.01; done"))
    path = write_json(tmp_path, document(*tasks))
    with fastrun_process(path, env=environment(MAKEFLAGS=fifo.flags), cwd=tmp_path) as process:
        wait_for(lambda: len([p for p in tmp_path.glob("here.*") if p.read_text()]) == 4)
        assert fifo.left() == b""
        # What this one had is given back by then, and not once more.
        (tmp_path / "go").touch()
        wait_for(lambda: len(fifo.left()) == 1)
        # A token is written before its row leaves the guardian's table: a kill in between gives it back twice.
        assert process.stdout is not None
        assert b"Ended : d\n" in iter(process.stdout.readline, b"")
        process.kill()
        wait_for(lambda: fifo.left() == TOKENS)
        # Not before they are really free.
        assert not any(alive(int(p.read_text())) for p in tmp_path.glob("here.*"))


def test_a_run_that_is_broken_off_gives_tokens_back(fifo, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", fifo.flags)
    left = []

    class BreaksOff(Observer):
        def task_output(self, number, task, stream, data) -> None:
            left.append(fifo.left())
            raise KeyboardInterrupt

    tasks = document(exec_("a", "sleep 100"), exec_("b", "sleep 100"), exec_("c", "sleep 0.1; echo; sleep 100"))
    with pytest.raises(KeyboardInterrupt):
        library.run(tasks, observers=[BreaksOff()])
    assert [len(tokens) for tokens in left] == [1]
    assert fifo.left() == TOKENS


def test_run_whose_loop_is_abandoned_gives_tokens_back(tmp_path, fifo):
    code = """
import asyncio, fastrun, glob, logging
logging.disable()
tasks = [dict(name=name, type="exec", arguments="echo $$ > here.$FASTRUN_TASK; sleep 100") for name in "abcde"]

async def main():
    asyncio.ensure_future(fastrun.run_async(dict(tasks=tasks), guardian=False))
    while len(glob.glob("here.*")) < 4:
        await asyncio.sleep(0.01)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(MAKEFLAGS=fifo.flags), timeout=LIMIT, check=True
    )
    wait_for(lambda: all(path.read_text() for path in tmp_path.glob("here.*")))
    for path in tmp_path.glob("here.*"):
        os.killpg(int(path.read_text()), signal.SIGKILL)
    assert fifo.left() == TOKENS


def test_a_run_takes_a_token_for_each_command_but_the_first(tmp_path, fifo):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 4) for number in range(9)]))
    result = fastrun(path, env=environment(MAKEFLAGS=fifo.flags))
    assert (result.returncode, result.stderr) == (0, b"")
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (4, 9)


@pytest.mark.parametrize("option", ["--jobserver-auth", "--jobserver-fds"])
def test_a_pipe_is_shared_as_well(tmp_path, option):
    reader, writer = os.pipe()
    os.write(writer, b"ab")
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 3) for number in range(7)]))
    flags = f" -j3 {option}={reader},{writer}"
    result = fastrun(path, env=environment(MAKEFLAGS=flags), pass_fds=[reader, writer])
    assert (result.returncode, result.stderr) == (0, b"")
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (3, 7)
    assert sorted(os.read(reader, 10)) == sorted(b"ab")
    assert os.get_blocking(reader)
    os.close(reader)
    os.close(writer)


def test_closed_descriptors_are_one_warning_and_nothing_is_shared(tmp_path):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 4) for number in range(4)]))
    result = fastrun(path, env=environment(MAKEFLAGS=" -j2 --jobserver-auth=3,4"))
    assert result.returncode == 0
    said = "the job slots of the make above cannot be used: they are not open; begin the line of the recipe with '+'"
    assert result.stderr.decode() == f"fastrun: warning: {said}\n"


def test_an_explicit_limit_goes_over_that_of_make(tmp_path, fifo):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 2) for number in range(4)]))
    result = fastrun("-j", "2", path, env=environment(MAKEFLAGS=fifo.flags))
    assert result.returncode == 0
    assert result.stderr == b"fastrun: warning: -j 2 is given: the job slots of the make above are not used\n"
    assert leaf.most(str(tmp_path)) == 2


def test_start_says_that_a_task_waited_for_a_token(fifo, monkeypatch, tmp_path):
    monkeypatch.setenv("MAKEFLAGS", fifo.flags)
    take = Jobserver.take

    def take_and_tell(gate: Jobserver, running: int) -> bool:
        taken = take(gate, running)
        if not taken:
            (tmp_path / "refused").touch()
        return taken

    monkeypatch.setattr(Jobserver, "take", take_and_tell)

    class Starts(Observer):
        detailed = True
        held_by: list[str] = []  # noqa: RUF012  # one object

        def task_started(self, number, task, start) -> None:
            self.held_by.append(start.held_by)

    starts = Starts()
    waits = f"until [ -e {tmp_path}/refused ]; do sleep 0.01; done"
    report = library.run(document(*[exec_(f"t{number}", waits) for number in range(6)]), observers=[starts])
    assert report.ok
    assert sorted(starts.held_by, reverse=True) == ["slot"] * 4 + ["jobserver"] * 2


def test_the_limit_is_the_number_of_processors_without_another(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo $MAKEFLAGS")))
    result = fastrun("--jobserver=fifo", path)
    assert f"-j{len(os.sched_getaffinity(0))} --jobserver-auth=fifo:".encode() in result.stdout
    folder = re.search(rb"fifo:(.*)/jobserver", result.stdout)
    assert folder is not None
    assert not os.path.exists(folder[1])


@pytest.mark.parametrize("style", ["fifo", "pipe"])
def test_the_fifo_is_removed_after_an_interrupt(tmp_path, style):
    path = write_json(tmp_path, document(*[exec_(name, "echo $MAKEFLAGS > $FASTRUN_TASK; sleep 100") for name in "ab"]))
    more = {"TMPDIR": str(tmp_path)}
    with fastrun_process("-j2", f"--jobserver={style}", path, env=environment(**more), cwd=tmp_path) as process:
        wait_for(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in "ab"))
        assert len(list(tmp_path.glob("fastrun-*/jobserver"))) == 1
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT)
    assert process.returncode == 130
    assert not list(tmp_path.glob("fastrun-*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--jobserver=socket"], "argument --jobserver: invalid choice: 'socket'"),
        (["--jobserver", "-j", "5000"], "a jobserver is for 4096 commands at most, not 5000"),
    ],
)
def test_a_jobserver_that_makes_no_sense_starts_nothing(tmp_path, arguments, said):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun(*arguments, path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in result.stderr.decode()
    with pytest.raises(ValueError, match="jobserver must be one of auto, fifo, pipe, not socket"):
        library.run(document(), jobserver="socket")


def test_nothing_is_left_of_a_jobserver_whose_run_does_not_begin(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun("--jobserver", "--journal", tmp_path / "none/journal", path, env=environment(TMPDIR=str(tmp_path)))
    assert (result.returncode, result.stdout) == (2, b"")
    assert not list(tmp_path.glob("fastrun-*"))

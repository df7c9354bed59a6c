"""Runs that go on with a journal: what runs again, and what does not."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import fastrun as library
from fastrun.journal.recorded import Recorded, read_journal
from fastrun.journal.records import JournalError
from fastrun.journal.recovery import begin
from fastrun.loading import load_graph
from fastrun.outcome import FIRST_START
from fastrun.settings import RunSettings
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import (
    alive,
    environment,
    fastrun,
    fastrun_process,
    file_limit,
    report_of,
    unmeasured,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path
from tests.support.journals import OK

TASKS = document(
    exec_("a", "echo a >> log; echo out"),
    eval_("b", "open('log', 'a').write('b\\n')", "a"),
    exec_("c", "echo c >> log; test -e ready", "b"),
    exec_("d", "echo d >> log", "c"),
    exec_("e", "echo e >> log"),
)


class Folder:
    """A folder with a document that is run with a journal, and the log that its tasks write."""

    def __init__(self, path: Path, content: dict[str, Any] = TASKS) -> None:
        self.path = path
        self.journal = path / "run.journal"
        self.write(content)

    def write(self, content: dict[str, Any]) -> None:
        write_json(self.path, content)

    def run(self, *options: str, **more: Any) -> Any:
        """Run it, after the first time with ``--resume``."""
        resume = ["--resume"] if self.journal.exists() else []
        return fastrun("--journal", "run.journal", *resume, *options, "tasks.json", cwd=self.path, **more)

    def log(self) -> str:
        """What ran since the last look, in no order."""
        with suppress(FileNotFoundError):
            text = (self.path / "log").read_text()
            (self.path / "log").unlink()
            return "".join(sorted(text.split()))
        return ""

    def recorded(self) -> Recorded:
        return read_journal(self.journal.read_bytes())


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


def test_only_tasks_not_recorded_as_ok_run_again(folder):
    first = folder.run()
    assert (first.returncode, folder.log()) == (1, "abce")
    (folder.path / "ready").touch()
    second = folder.run()
    assert (second.returncode, folder.log()) == (0, "cd")
    assert report_of(second.stdout) == {
        "a": ("ok", "from the journal"),
        "b": ("ok", "from the journal"),
        "c": ("ok", ""),
        "d": ("ok", ""),
        "e": ("ok", "from the journal"),
    }
    assert b"Started: a" not in second.stdout
    assert b"\n5 tasks: 5 ok (3 from the journal) in " in second.stdout
    assert second.stderr == b"fastrun: run.journal: 3 of 5 tasks are ok, 2 run\n"
    third = folder.run()
    assert (third.returncode, folder.log()) == (0, "")
    assert b"5 ok (5 from the journal)" in third.stdout


def test_without_a_journal_the_same_lines_are_printed(folder):
    def lines(*options: str) -> list[bytes]:
        result = fastrun(*options, "-j1", "--eval-threads", "1", "tasks.json", cwd=folder.path)
        return sorted(result.stdout.splitlines()[:-1])

    assert lines() == lines("--journal", "run.journal")


def test_a_changed_task_runs_again_with_its_dependents_and_nothing_else(folder):
    (folder.path / "ready").touch()
    folder.run()
    folder.log()
    changed = json.loads(json.dumps(TASKS))
    changed["tasks"][2]["arguments"] += " # changed"
    changed["tasks"].reverse()
    folder.write(changed)
    result = folder.run("-v")
    assert folder.log() == "cd"
    said = result.stderr.decode().splitlines()
    assert "fastrun: c: runs: changed" in said
    assert "fastrun: d: runs: c runs" in said


def test_rerun_runs_a_task_and_its_dependents_in_any_case(folder):
    (folder.path / "ready").touch()
    folder.run()
    folder.log()
    assert folder.run("--rerun", "c", "--rerun", "e").returncode == 0
    assert folder.log() == "cde"


def test_task_that_was_to_run_again_does_even_if_the_run_ended_before(folder):
    (folder.path / "ready").touch()
    folder.run()
    # A run that is to do c and d again, and is killed when it has done c.
    graph = load_graph(folder.path / "tasks.json")
    number = next(number for number, task in enumerate(graph.tasks) if task.name == "c")
    settings = RunSettings(resume=True, rerun=["c"])
    journal, plan, _ = begin(graph, os.fspath(folder.journal), settings, "second", pytest.fail)
    assert len(plan.redone) == 2
    journal.task_started(number, FIRST_START)
    journal.task_ended(number, OK)
    journal.flush()
    journal._file.close()
    folder.log()
    # What d had made is of the time before.
    folder.run()
    assert folder.log() == "d"


@pytest.mark.parametrize(
    ("part", "ran", "left"),
    [
        (["--rerun", "a", "--only", "a"], "a", "bcd"),
        (["--rerun", "a", "--exclude", "b"], "a", "bcd"),
        (["--rerun", "b", "--only", "b"], "b", "cd"),
        (["--rerun", "e", "--only", "e"], "e", ""),
    ],
)
def test_dependents_of_a_task_that_ran_in_a_part_run_when_asked_for(folder, part, ran, left):
    (folder.path / "ready").touch()
    folder.run()
    folder.log()
    folder.run(*part)
    assert folder.log() == ran
    # It is not forgotten when that part has run once more, and nothing of it had to.
    folder.run(*part[2:])
    assert folder.log() == ""
    result = folder.run("-v")
    assert folder.log() == left
    for name in left[:1]:
        assert f"{name}: runs: a dependency ran again, or was to".encode() in result.stderr
    folder.run()
    assert folder.log() == ""


def test_a_task_that_was_out_of_the_document_while_its_dependency_ran_runs_again(folder):
    (folder.path / "ready").touch()
    folder.run()
    folder.write(document(TASKS["tasks"][0]))
    folder.run("--rerun", "a")
    folder.log()
    folder.write(TASKS)
    folder.run()
    assert folder.log() == "bcd"
    folder.run()
    assert folder.log() == ""


def test_change_that_is_taken_back_runs_the_dependents_again(folder):
    (folder.path / "ready").touch()
    folder.run()
    changed = document({**TASKS["tasks"][0], "env": {"X": "1"}}, *TASKS["tasks"][1:])
    for content in (changed, TASKS):
        folder.write(content)
        folder.log()
        folder.run("--only", "a")
        assert folder.log() == "a"
    folder.run()
    assert folder.log() == "bcd"


def test_dry_run_shows_what_would_run_and_leaves_the_journal_alone(folder):
    before = folder.run("-n")
    assert before.stdout.decode().split() == ["a", "b", "c", "d", "e"]
    assert not folder.journal.exists()
    folder.run()
    data = folder.journal.read_bytes()
    result = folder.run("-n")
    assert (result.returncode, result.stdout) == (0, b"c  failed the last time\nd  skipped the last time\n")
    assert result.stderr == b"fastrun: run.journal: 3 of 5 tasks are ok, 2 run\n"
    refused = fastrun("-n", "--journal", "run.journal", "tasks.json", cwd=folder.path)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert folder.journal.read_bytes() == data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--durable"], "--durable needs --update, --resume or --journal FILE"),
        (["--rerun", "a"], 'there is no task "a"'),
        (["--journal", "new", "--rerun", "a"], 'there is no task "a"'),
        (["--journal", "new", "--resume", "--rerun", "A"], 'there is no task "A"'),
        (["--journal", "new", "--resume", "--rerun", "taks1"], "did you mean"),
        (["--journal", "no/such/folder"], "no/such/folder: No such file or directory"),
        (["--journal", "."], ".: Is a directory"),
        (["--journal", "tasks.json"], "tasks.json: not a journal of fastrun"),
        (["--journal", "tasks.json", "--resume"], "tasks.json: not a journal of fastrun"),
        (["--journal", "/dev/null"], "/dev/null: not a regular file"),
        (["--journal", "old"], "old: already holds a run: --resume goes on with it, --rerun '*' runs everything again"),
    ],
)
def test_bad_use_is_one_line_and_starts_nothing(tmp_path, options, message):
    write_json(tmp_path, document(exec_("task1", "touch started")))
    assert fastrun("--journal", "old", "tasks.json", cwd=tmp_path).returncode == 0
    (tmp_path / "started").unlink()
    result = fastrun(*options, "tasks.json", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    lines = result.stderr.decode().splitlines()
    assert message in lines[-1]
    assert len([line for line in lines if not line.startswith("usage:")]) == 1
    assert not (tmp_path / "started").exists()
    assert not (tmp_path / "new").exists()


def test_rerun_takes_the_journal_beside_the_document_and_goes_on(tmp_path):
    path = write_json(
        tmp_path, document(*(exec_(name, f"echo {name} >> log") for name in "ab"), exec_("c", "true", "a"))
    )
    assert fastrun("--rerun", "a", path, cwd=tmp_path).returncode == 0
    assert (tmp_path / ".fastrun" / "tasks.journal").exists()
    assert (tmp_path / ".fastrun" / ".gitignore").read_text() == "*\n"
    result = fastrun("--rerun", "a", path, cwd=tmp_path)
    assert report_of(result.stdout) == {"a": ("ok", ""), "b": ("ok", "from the journal"), "c": ("ok", "")}
    result = fastrun("--resume", path, cwd=tmp_path)
    assert [reason for _, reason in report_of(result.stdout).values()] == ["from the journal"] * 3
    assert sorted((tmp_path / "log").read_text().split()) == ["a", "a", "b"]


@pytest.mark.parametrize("option", [["--resume"], ["--rerun", "a"], ["-u"]])
def test_standard_input_has_no_journal_beside_it(option, tmp_path):
    result = fastrun(*option, "-", input=b'{"tasks": []}', cwd=tmp_path)
    name = {"-u": "--update"}.get(option[0], option[0])
    assert f"{name} of a document from standard input needs --journal FILE" in result.stderr.decode()
    assert not os.listdir(tmp_path)


def test_each_way_out_of_a_journal_that_holds_a_run_works(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true"), exec_("b", "true")))
    run = ("--journal", "journal", path)
    assert fastrun(*run, cwd=tmp_path).returncode == 0
    said = fastrun(*run, cwd=tmp_path).stderr.decode()
    assert said.endswith("journal: already holds a run: --resume goes on with it, --rerun '*' runs everything again\n")
    assert b"2 from the journal" in fastrun("--resume", *run, cwd=tmp_path).stdout
    assert b"2 ok in " in fastrun("--rerun", "*", *run, cwd=tmp_path).stdout


def test_library_resumes_and_counts_what_it_reused(tmp_path):
    path = tmp_path / "run.journal"
    tasks = document(exec_("a", "true"), exec_("b", "true", "a"))
    assert library.run(tasks, journal=path).reused == 0
    report = library.run(tasks, journal=path, resume=True, rerun=["b"])
    assert (report.reused, report["a"].reason, report["b"].reason) == (1, "from the journal", "")
    with pytest.raises(library.JournalError, match="already holds a run"):
        library.run(tasks, journal=path)
    with pytest.raises(ValueError, match="need a journal"):
        library.run(tasks, resume=True)
    with pytest.raises(ValueError, match="there is no task"):
        library.run(tasks, journal=path, resume=True, rerun=["c"])
    assert issubclass(library.JournalError, ValueError)
    assert library.JournalError is JournalError


def test_damage_is_said_and_what_it_took_runs_again(folder):
    folder.run()
    folder.log()
    data = folder.journal.read_bytes()
    lines = data.splitlines(keepends=True)
    last_ok = max(place for place, line in enumerate(lines) if b'"status":"ok"' in line)
    folder.journal.write_bytes(b"".join(lines[:last_ok]) + b"x" + lines[last_ok])
    name = json.loads(lines[last_ok][9:])["name"]
    result = folder.run()
    assert b"damaged bytes after the last whole record" in result.stderr
    assert name in folder.log()


def test_two_runs_cannot_have_one_journal(folder):
    folder.write(document(exec_("wait", "cat fifo > /dev/null")))
    os.mkfifo(folder.path / "fifo")
    with fastrun_process("--journal", "run.journal", "tasks.json", cwd=folder.path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"Started: wait\n"
        for resume in ([], ["--resume"]):
            second = fastrun("--journal", "run.journal", *resume, "tasks.json", cwd=folder.path)
            assert second.returncode == 2
            assert second.stderr.decode() == f"fastrun: run.journal: in use by process {first.pid}\n"
        (folder.path / "fifo").write_bytes(b"")
        first.communicate()
        assert first.returncode == 0


def test_interrupted_run_is_gone_on_with(folder):
    folder.write(
        document(exec_("a", "echo a >> log"), exec_("b", "echo b >> log; test -e ready || kill -STOP $$", "a"))
    )
    with fastrun_process("--journal", "run.journal", "--grace", "0", "tasks.json", cwd=folder.path) as first:
        wait_for(lambda: (folder.path / "log").exists() and "b" in (folder.path / "log").read_text())
        first.send_signal(signal.SIGTERM)
        first.communicate()
        assert first.returncode == 143
    assert folder.recorded().exit_code == 143
    assert folder.log() == "ab"
    (folder.path / "ready").touch()
    result = folder.run("-v")
    assert (result.returncode, folder.log()) == (0, "b")
    assert b"fastrun: b: runs: interrupted the last time\n" in result.stderr


@pytest.mark.parametrize("how", ["plain", "without its mark", "in a session of its own"])
def test_survivors_of_a_killed_run_are_ended_before_a_task_runs_again(folder, how):
    sleep = {
        "plain": "echo $$ > pid; exec sleep 1000",
        "without its mark": "echo $$ > pid; exec env -i sleep 1000",
        "in a session of its own": "exec setsid -f sh -c 'echo $$ > pid; exec sleep 1000'",
    }[how]
    task = f"test -e ready || {{ {sleep}; }}"
    # The last keeps the run from ending, and with it what b has left behind.
    folder.write(document(exec_("a", "echo a >> log"), exec_("b", task, "a"), exec_("c", "test -e ready || cat fifo")))
    os.mkfifo(folder.path / "fifo")
    command = ("--no-guardian", "--journal", "run.journal", "tasks.json")
    with fastrun_process(*command, cwd=folder.path) as first:
        pid_file = folder.path / "pid"
        wait_for(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        wait_for(lambda: _command_of(int(pid_file.read_text())).startswith(b"sleep\0"))
        wait_for(lambda: b'"start","name":"b"' in folder.journal.read_bytes())
        first.kill()
        first.communicate()
    pid = int((folder.path / "pid").read_text())
    assert alive(pid)
    (folder.path / "ready").touch()
    result = folder.run("-v")
    assert not alive(pid)
    assert result.returncode == 0
    assert folder.log() == "a"
    said = result.stderr.decode()
    # With those of c.
    assert re.search(r"run\.journal: ended [23] processes that the earlier run had left", said)
    if how != "in a session of its own":
        assert "fastrun: b: runs: its end is not recorded" in said


def _command_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_detached_processes_of_a_killed_run_live_on(folder):
    left = "setsid -f sh -c 'echo $$ > pid; exec sleep 1000'; while test ! -s pid; do :; done"
    tasks = [exec_("a", left, detach=True), exec_("b", "test -e ready || cat fifo", "a")]
    folder.write(document(*tasks))
    os.mkfifo(folder.path / "fifo")
    with fastrun_process("--journal", "run.journal", "tasks.json", cwd=folder.path) as first:
        wait_for(lambda: folder.journal.exists() and b'"start","name":"b"' in folder.journal.read_bytes())
        first.kill()
        first.communicate()
    pid = int((folder.path / "pid").read_text())
    try:
        (folder.path / "ready").touch()
        assert folder.run().returncode == 0
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_full_disk_under_the_journal_starts_nothing_more_and_exits_with_3(folder):
    tasks = [exec_(f"task{number}", "true", *([f"task{number - 1}"] if number else [])) for number in range(40)]
    folder.write(document(*tasks))
    # The guardian's table would be over the limit as well.
    result = folder.run("--no-guardian", env=unmeasured(), preexec_fn=file_limit(3_000))
    assert result.returncode == 3
    assert result.stderr == b"fastrun: warning: cannot write the journal: File too large; nothing more is started\n"
    report = report_of(result.stdout)
    ok = [name for name, (status, _) in report.items() if status == "ok"]
    assert 0 < len(ok) < 40
    assert {reason for status, reason in report.values() if status == "skipped"} == {"the journal cannot be written"}
    assert set(folder.recorded().ok) <= set(ok)
    assert len(ok) - len(folder.recorded().ok) <= 1
    assert folder.run().returncode == 0
    assert len(folder.recorded().ok) == 40


def test_environment_values_are_in_no_record(folder):
    folder.write(document(exec_("a", "true", env={"TOKEN": "swordfish"})))
    folder.run(env=environment(SECRET="mackerel"))
    data = folder.journal.read_bytes()
    assert b'"name":"a"' in data
    assert b"swordfish" not in data
    assert b"mackerel" not in data


def test_durable_run_is_the_same_run(folder):
    (folder.path / "ready").touch()
    result = folder.run("--durable", "-j", "1")
    assert (result.returncode, folder.log()) == (0, "abcde")
    assert set(folder.recorded().ok) == set("abcde")


def test_durations_are_recorded(folder):
    folder.write(document(eval_("a", "x = 1"), exec_("b", "true")))
    before = time.monotonic()
    folder.run()
    took = time.monotonic() - before
    assert all(0 < folder.recorded().seconds[name] < took for name in "ab")

"""The answer of ``--update`` where nothing changed: given only where a run would come to the same."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fastrun.api import set_up
from fastrun.cli import say
from fastrun.cli.load import settings_of
from fastrun.cli.options import parser
from fastrun.cli.unchanged import Memory
from fastrun.loading import load_graph
from fastrun.observers.terminal.console import Console
from tests.support.documents import write_json
from tests.support.processes import LIMIT, environment, fastrun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[Path], object]

JOURNAL = ".fastrun/tasks.journal"
ANSWER = ".fastrun/tasks.unchanged"


def copy(name: str, *inputs: str, **more: Any) -> dict[str, Any]:
    """Return a task that makes one file of others."""
    arguments = f"cat {' '.join(inputs)} > {name}"
    return {"name": name, "type": "exec", "arguments": arguments, "inputs": [*inputs], "outputs": [name], **more}


def variables_of(**more: str) -> dict[str, str]:
    """Return the environment, without the variable by which pytest tells the phases of a test apart."""
    return {name: value for name, value in environment().items() if name != "PYTEST_CURRENT_TEST"} | more


def update(folder: Path, *options: str, **variables: str) -> tuple[subprocess.CompletedProcess[bytes], bool]:
    """Bring all up to date. Return what came of it, and whether there was an answer without a run."""
    journal = folder / JOURNAL
    before = journal.read_bytes() if journal.exists() else None
    result = fastrun("-u", "tasks.json", *options, cwd=folder, env=variables_of(**variables))
    after = journal.read_bytes() if journal.exists() else None
    return result, before == after


@pytest.fixture
def folder(tmp_path):
    """A folder in which all is up to date, so that the next answer is given without a run."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    write_json(tmp_path, {"tasks": [copy("x", "a"), copy("y", "x", "b", dependencies=["x"], env_inputs=["FLAGS"])]})
    # What the first run has made is so young that the second reads it again.
    for _ in range(2):
        result, answered = update(tmp_path)
        assert (result.returncode, answered) == (0, False)
    return tmp_path


def without_time(text: bytes) -> bytes:
    return text.rpartition(b" in ")[0]


def test_answer_is_that_of_the_run_before(folder):
    (folder / ANSWER).rename(folder / "kept")
    run, answered = update(folder)
    assert not answered
    again, answered = update(folder)
    assert answered
    assert (again.returncode, again.stderr) == (0, b"") == (run.returncode, run.stderr)
    assert without_time(again.stdout) == without_time(run.stdout)
    assert without_time(again.stdout).endswith(b"2 tasks: 2 ok (2 up to date)")
    assert again.stdout.endswith(b" s\n")


def rewrite(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def replace_document(folder: Path) -> None:
    write_json(folder, {"tasks": [copy("x", "a"), copy("y", "x", "b", dependencies=["x"], arguments="cat x > y")]})


def same_size_and_time(folder: Path) -> None:
    before = (folder / "a").stat()
    (folder / "a").write_text("A")
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


def link_instead(folder: Path) -> None:
    (folder / "a").rename(folder / "other")
    (folder / "a").symlink_to("b")


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        (rewrite("a", "c"), b"x"),
        (rewrite("a", "a"), b""),
        (same_size_and_time, b"x"),
        (link_instead, b"x"),
        (remove("x"), b"x"),
        (rewrite("y", "corrupt"), b"y"),
        (replace_document, b"y"),
        (remove(JOURNAL), b"x"),
        (rewrite(JOURNAL, ""), b"x"),
        (remove(ANSWER), b""),
        (rewrite(ANSWER, ""), b""),
    ],
)
def test_run_tells_once_anything_has_changed(folder, change, runs):
    change(folder)
    result, answered = update(folder)
    assert not answered
    assert (b"Started: " + runs in result.stdout) == bool(runs)
    assert result.returncode == 0


def test_damaged_answer_is_none(folder):
    data = (folder / ANSWER).read_bytes()
    for damaged in (data.replace(b"up to date", b"up to bate"), data[:-1], data[:40], b"{}"):
        (folder / ANSWER).write_bytes(damaged)
        result, answered = update(folder)
        assert not answered
        assert b"up to date" in result.stdout


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ((), {"FLAGS": "-O2"}),
        (("--report", "none"), {}),
        (("--color", "always"), {}),
        (("--rerun", "x"), {}),
        (("x",), {}),
        (("-v",), {}),
        (("--json", "events"), {}),
        ((), {"GITHUB_ACTIONS": "true"}),
        (("--journal", JOURNAL, "-C", "."), {}),
    ],
)
def test_run_tells_where_something_else_is_asked_for(folder, options, variables):
    result, answered = update(folder, *options, **variables)
    assert (result.returncode, answered) == (0, False)


def test_answer_for_other_options_is_kept_too(folder):
    for expected in (False, True):
        result, answered = update(folder, "--report", "none", "x")
        assert answered is expected
        assert without_time(result.stdout) == b"Report:\n1 task: 1 ok (1 up to date)"


@pytest.mark.parametrize(
    "task",
    [
        {"name": "phony", "type": "exec", "arguments": "true"},
        copy("z", "*.txt"),
        copy("z", "files/c.txt", inputs=["files"]),
        {**copy("z", "c.txt"), "type": "eval", "arguments": "", "script": "make.py"},
        copy("z", "c.txt", unknown=1),
        copy("z", "c.txt", outputs=["z", "lost"], arguments="cat c.txt > z; ln -sf nowhere lost"),
    ],
)
def test_unusual_documents_have_no_answer_without_a_run(tmp_path, task):
    (tmp_path / "files").mkdir()
    for name in ("c.txt", "files/c.txt"):
        (tmp_path / name).write_text("c")
    (tmp_path / "make.py").write_text("open('z', 'w').close()")
    if "script" in task:
        del task["arguments"]
    write_json(tmp_path, {"tasks": [task]})
    for _ in range(3):
        result, answered = update(tmp_path)
        assert (result.returncode, answered) == (0, False)
    assert not (tmp_path / ANSWER).exists()


def test_document_in_a_pipe_is_left_to_the_run(tmp_path):
    (tmp_path / "a").touch()
    document = write_json(tmp_path, {"tasks": [copy("x", "a")]}).read_bytes()
    (tmp_path / ".fastrun").mkdir()
    for _ in range(3):
        command = [sys.executable, "-m", "fastrun", "-u", "--journal", JOURNAL, "/dev/stdin"]
        result = subprocess.run(
            command, input=document, cwd=tmp_path, capture_output=True, env=variables_of(), timeout=LIMIT, check=False
        )
        assert (result.returncode, result.stderr) == (0, b"")
    assert not (tmp_path / ANSWER).exists()


def test_answer_that_cannot_be_kept_leaves_nothing_behind(folder):
    (folder / ANSWER).unlink()
    (folder / ANSWER).mkdir()
    result, answered = update(folder)
    assert (result.returncode, result.stderr, answered) == (0, b"", False)
    assert sorted(os.listdir(folder / ".fastrun")) == [".gitignore", "tasks.journal", "tasks.unchanged"]


def test_answer_never_takes_the_place_of_a_journal(folder):
    for _ in range(3):
        result, _answered = update(folder, "--journal", ".fastrun/other.unchanged")
        assert (result.returncode, result.stderr) == (0, b"")


def test_failed_task_is_no_answer(tmp_path):
    write_json(tmp_path, {"tasks": [copy("x", "a", arguments="false", allow_failure=True)]})
    (tmp_path / "a").touch()
    for _ in range(3):
        _result, answered = update(tmp_path)
        assert not answered
    assert not (tmp_path / ANSWER).exists()


def test_answer_that_cannot_be_printed_in_full_is_told(folder):
    command = [sys.executable, "-m", "fastrun", "-u", "tasks.json"]
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            command, cwd=folder, stdout=full, stderr=subprocess.PIPE, env=variables_of(), timeout=LIMIT, check=False
        )
    assert result.returncode == 3
    assert result.stderr == b"fastrun: cannot write to standard output: No space left on device\n"


@pytest.fixture
def options(folder, monkeypatch):
    monkeypatch.chdir(folder)
    # A test before this one may have made the command line say something in this process.
    monkeypatch.setattr(say, "_said", False)
    (folder / ANSWER).unlink()
    return parser({}).parse(["-u", "--journal", JOURNAL, "tasks.json"])


def keep_one(options: argparse.Namespace, *, before_keeping: Callable[[], object]) -> None:
    """Make a run that finds nothing to do, and keep its answer."""
    memory = Memory(options)
    graph = load_graph("tasks.json")
    setup = set_up(graph, settings_of(options, graph), print)
    console = Console()
    report = asyncio.run(setup.watched_by([console]).to_end())
    assert console.close()
    before_keeping()
    memory.keep(setup, console, report)


def append_to(path: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n")


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        (None, 0),
        # The document that was kept for is not the one that ran.
        ("tasks.json", None),
        # Another run may have begun since, and taken successes back.
        (JOURNAL, None),
    ],
)
@pytest.mark.usefixtures("capfd")
def test_answer_belongs_to_the_document_and_the_journal_of_its_run(options, edited, expected):
    keep_one(options, before_keeping=lambda: None if edited is None else append_to(edited))
    assert Memory(options).answer() == expected

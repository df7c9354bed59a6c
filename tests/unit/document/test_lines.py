"""Documents that have a command in each line."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.parse import parse_lines
from fastrun.document.problems import SpecError
from fastrun.loading import load_graph
from fastrun.plan.graph import build
from tests.support.documents import document, exec_, write_json
from tests.support.processes import fastrun, report_of

TEXT = b"\xef\xbb\xbf# a comment\n\n  \t\necho one\r\n  # another\n\techo  two \\ \nexit 3"


def test_each_line_that_is_no_comment_is_a_command_named_by_its_number():
    found = parse_lines(TEXT, "f")
    assert [(task.name, task.arguments) for task in found.tasks] == [
        ("4 echo one", "echo one"),
        ("6 echo two \\", "\techo  two \\ "),
        ("7 exit 3", "exit 3"),
    ]
    assert {(task.type, tuple(task.dependencies)) for task in found.tasks} == {("exec", ())}
    assert not found.problems


def test_a_long_command_has_its_beginning_in_the_name():
    (task,) = parse_lines(b"x" * 100, "f").tasks
    assert task.name == "1 " + "x" * 39 + "…"
    assert task.arguments == "x" * 100


def test_tasks_are_where_their_lines_are(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(TEXT)
    graph = load_graph(path, lines=True)
    assert [graph.location(number) for number in range(3)] == [f"{path}:{line}:1" for line in (4, 6, 7)]
    assert graph.line_and_column(2) == (7, 1)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (
            b"true\n\necho \0\nfalse\0",
            [f"f:{n}:1: the command must not contain NUL: the shell stops there" for n in (3, 4)],
        ),
        ("true\n# ä".encode() + b"\xff\n", ["f:2:4: not UTF-8: byte 0xff"]),
    ],
)
def test_what_no_shell_could_run_has_its_line(data, lines):
    with pytest.raises(SpecError) as caught:
        build(parse_lines(data, "f"))
    assert caught.value.lines == lines


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\0")))
def test_any_text_is_one_command_or_none(text):
    tasks = parse_lines(text.encode(), "f").tasks
    bare = text.removeprefix("\ufeff").removesuffix("\r").lstrip()
    assert len(tasks) == (bool(bare) and not bare.startswith("#"))
    assert all(task.source.lstrip() == bare for task in tasks)


@pytest.mark.parametrize("arguments", [["--lines", "-j8", "-"], ["--lines"], ["--lines", "lines.txt"]])
def test_lines_run_from_a_file_and_from_a_pipe(arguments, tmp_path):
    (tmp_path / "lines.txt").write_bytes(TEXT)
    result = fastrun(*arguments, input=TEXT, cwd=tmp_path)
    assert result.returncode == 1
    assert report_of(result.stdout) == {
        "4 echo one": ("ok", ""),
        "6 echo two \\": ("ok", ""),
        "7 exit 3": ("failed", "exit status 3"),
    }


def test_no_lines_are_an_empty_document(tmp_path):
    assert fastrun("--lines", "-", input=b"# nothing\n").returncode == 0


def test_lines_are_resumed_by_their_number_and_text(tmp_path):
    path = tmp_path / "f"
    options = ["--lines", "--journal", tmp_path / "journal", "--resume", path]
    path.write_text("echo one\nfalse\necho three\n")
    assert fastrun(*options).returncode == 1
    path.write_text("echo one\ntrue\necho 3\n\necho three\n")
    result = fastrun(*options)
    assert {name: reason for name, (_, reason) in report_of(result.stdout).items()} == {
        "1 echo one": "from the journal",
        "2 true": "",
        "3 echo 3": "",
        "5 echo three": "",
    }


def test_a_wrong_line_starts_nothing(tmp_path):
    result = fastrun("--lines", "-", input=b"touch made\necho \0\n", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"<stdin>:2:1: the command must not contain NUL: the shell stops there\n"
    assert not os.listdir(tmp_path)


def test_a_document_that_is_taken_for_lines_says_what_lines_are(tmp_path):
    result = fastrun(write_json(tmp_path, b"echo one\necho two\n"))
    assert result.stderr.decode().endswith("; with --lines each line runs as a command\n")


def test_lines_and_the_same_document_are_the_same_work(tmp_path):
    path = tmp_path / "f"
    path.write_text("echo one\necho two\n")
    content = document(exec_("1 echo one", "echo one"), exec_("2 echo two", "echo two"))
    assert fastrun("-n", "-v", "--lines", path).stdout == fastrun("-n", "-v", write_json(tmp_path, content)).stdout
    assert json.loads(fastrun("--graph", "json", "--lines", path).stdout)["tasks"][1]["name"] == "2 echo two"

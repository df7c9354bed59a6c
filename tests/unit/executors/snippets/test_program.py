"""A snippet as a program: its names and the name of its file."""

from __future__ import annotations

from typing import Any

import pytest

from fastrun.document.task import Task
from fastrun.executors.snippets.forks import Copies
from fastrun.executors.snippets.program import Parents, Program, Shared
from fastrun.text import printable


def program(name: str, **shared: Any) -> Program:
    parts: dict[str, Any] = {"write": lambda *_: True, "marks": {}, "copies": Copies(), "parents": Parents(), **shared}
    return Program(7, Task(name, "eval", ""), Shared(**parts))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("plain", "<task plain>"),
        ("two words", "<task two words>"),
        ("a\nb", "<task a\\nb>"),
        ("a" * 300, f"<task {printable('a' * 300)}>"),
    ],
)
def test_file_names_the_task_as_it_is_shown(name, file):
    made = program(name)
    assert (made.file, made.namespace["__file__"]) == (file, file)


def test_programs_share_no_name():
    one, other = program("a"), program("b")
    one.namespace["x"] = 1
    one.namespace.get("__annotations__", {})["y"] = int
    assert "x" not in other.namespace
    assert other.namespace.get("__annotations__", {}) == {}


def test_parent_is_known_and_has_to_be_tidied_up():
    parents = Parents()
    made = program("a", parents=parents)
    assert not made.touched
    parents.begin(made)
    assert (list(parents), made.touched, parents.starting) == ([made], True, True)
    parents.end()
    assert (list(parents), parents.starting) == ([made], False)


def test_program_that_has_ended_may_start_processes_after_the_run():
    parents = Parents()
    parents.closed = True
    made = program("a", parents=parents)
    assert made.is_given_up
    made.has_ended = True
    parents.begin(made)
    assert parents.starting


def test_what_a_program_prints_is_its_tasks():
    seen = []

    def write(number: int, stream: int, data: bytes) -> bool:
        seen.append((number, stream, data))
        return False

    assert program("a", write=write).print(2, b"x") is False
    assert seen == [(7, 2, b"x")]

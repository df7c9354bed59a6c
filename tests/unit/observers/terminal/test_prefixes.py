"""The name of a task before each of its lines."""

from __future__ import annotations

import pytest

from fastrun import Task
from fastrun.observers.terminal.prefixes import prefix_columns, prefix_of, prefixed


def tasks(*names: str) -> list[Task]:
    return [Task(name, "exec", "") for name in names]


@pytest.mark.parametrize(
    ("data", "within_a_line", "expected"),
    [
        (b"a\n", False, b"> a\n"),
        (b"a\nb\n", False, b"> a\n> b\n"),
        (b"a\nb", False, b"> a\n> b"),
        (b"\n\n", False, b"> \n> \n"),
        (b"a\nb\n", True, b"a\n> b\n"),
        (b"a", True, b"a"),
        (b"\n", True, b"\n"),
        (b"\xff\r\n\0", False, b"> \xff\r\n> \0"),
    ],
)
def test_each_line_that_begins_gets_the_prefix(data, within_a_line, expected):
    assert prefixed(data, b"> ", within_a_line=within_a_line) == expected


def test_output_of_short_names_is_aligned():
    short = tasks("a", "compile", "漢字")
    width = prefix_columns(short)
    assert [prefix_of(task, width).decode() for task in short] == ["[a]       ", "[compile] ", "[漢字]    "]


def test_a_long_name_does_not_move_the_lines_of_all_others_far():
    some = tasks("a", "n" * 60)
    width = prefix_columns(some)
    assert [len(prefix_of(task, width)) for task in some] == [27, 63]


def test_a_name_cannot_forge_a_line():
    task = Task("a\nEnded : b\x1b[2J", "exec", "")
    assert prefix_of(task, 0) == b"[a\\nEnded : b\\x1b[2J] "

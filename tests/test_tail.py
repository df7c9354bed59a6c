"""The end of what a task printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.observers.tail import LINES, Tail
from fastrun.protocols import STDERR, STDOUT

NUMBERED = [f"line {number}" for number in range(100)]


def tail_of(*pieces: bytes) -> str:
    tail = Tail()
    for piece in pieces:
        tail.add(STDOUT, piece)
    return tail.text()


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_last_lines_are_kept(end):
    text = "\n".join(NUMBERED) + end
    assert tail_of(text.encode()).splitlines() == NUMBERED[-LINES:]


def test_nothing_printed_is_nothing():
    assert tail_of() == tail_of(b"") == ""


@given(st.lists(st.binary(max_size=6).map(lambda data: data.replace(b"a", b"\n")), max_size=60))
def test_it_does_not_matter_where_output_is_cut(pieces):
    whole = b"".join(pieces)
    lines = whole.split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    assert tail_of(*pieces) == b"\n".join(lines[-LINES:]).decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("count", [LINES - 1, LINES, LINES + 1, LINES + 2])
def test_a_line_begun_before_much_else_is_whole_where_it_is_kept(count):
    rest = "".join(f"\n{line}" for line in NUMBERED[:count])
    assert tail_of(b"be", b"gin" + rest.encode()).splitlines() == ["begin", *NUMBERED[:count]][-LINES:]


def test_streams_are_kept_apart_within_lines_and_together_in_time():
    tail = Tail()
    for stream, data in (
        (STDOUT, b"o"),
        (STDERR, b"e"),
        (STDOUT, b"ne\ntwo\n"),
        (STDERR, b"rror\nla"),
        (STDERR, b"st"),
    ):
        tail.add(stream, data)
    assert tail.text() == "one\ntwo\nerror\nlast"


def test_memory_is_bounded_whatever_comes():
    tail = Tail()
    for _ in range(100):
        tail.add(STDOUT, b"x" * 10_000)
    tail.add(STDOUT, b"\n" + b"y" * 501 + b"\n" + b"z" * 500)
    assert tail.text() == "\n".join(["x" * 500 + " ...", "y" * 500 + " ...", "z" * 500])
    assert sum(map(len, tail._lines)) + sum(map(len, tail._beginnings.values())) < 3 * 600


def test_what_is_no_text_is_escaped():
    assert tail_of(b"\xff\xc3\xa9") == "\\xffé"

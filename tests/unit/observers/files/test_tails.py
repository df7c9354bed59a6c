"""The end of what tasks printed: what is kept of it, and how it is shown."""

from __future__ import annotations

from fastrun.document.task import Task
from fastrun.observers.files.tails import EACH, LINES, Tail, Tails
from fastrun.text import shown

TASK = Task("a", "exec", "")


def kept(*chunks: bytes, **bounds: int) -> Tail | None:
    tails = Tails(**bounds)
    tails.begin(0, TASK)
    for chunk in chunks:
        tails.add(0, chunk)
    tails.end(0, keep=True)
    return tails.kept.get(0)


def text(data: bytes, *, cut: bool = False) -> tuple[str, bool]:
    return Tail(data, cut).text(TASK)


def test_short_output_is_kept_whole():
    assert kept(b"one\n", b"two\n") == Tail(b"one\ntwo\n", cut=False)
    assert kept() is None


def test_the_end_of_long_output_is_kept():
    lines = b"".join(b"%07d\n" % number for number in range(50_000))
    for size in (3, 1000, EACH + 1, len(lines)):
        tail = kept(*(lines[at : at + size] for at in range(0, len(lines), size)))
        assert tail == Tail(lines[-EACH:], cut=True)


def test_only_output_of_running_and_failed_attempts_is_kept():
    tails = Tails()
    tails.add(1, b"x")
    tails.begin(0, TASK)
    tails.add(0, b"first attempt")
    tails.end(0, keep=False)
    tails.add(0, b"what it left behind")
    assert tails.kept == {}
    tails.begin(0, TASK)
    tails.add(0, b"second")
    tails.end(0, keep=True)
    assert tails.kept[0].data == b"second"


def test_memory_is_bounded_while_many_tasks_run():
    tails = Tails(each=1000, running=10_000)
    for number in range(100):
        tails.begin(number, TASK)
        for _ in range(10):
            tails.add(number, b"x" * 1000)
    # As long as few had printed each was allowed more.
    assert sum(len(tail) for tail in tails._tails.values()) < 4 * 10_000


def test_memory_is_bounded_however_many_tasks_fail():
    tails = Tails(each=1000, ended=8000)
    for number in range(1000):
        tails.begin(number, TASK)
        tails.add(number, b"x" * 5000)
        tails.end(number, keep=True)
    assert len(tails.kept) == 1000
    sizes = [len(tail.data) for tail in tails.kept.values()]
    assert sum(sizes) <= 8000
    assert sizes == sorted(sizes, reverse=True)
    assert all(tail.cut for tail in tails.kept.values())


def test_the_last_lines_are_shown():
    assert text(b"one\ntwo\n") == ("one\ntwo", False)
    assert text(b"one\n\n") == ("one\n", False)
    assert Tail(b"one\ntwo\n", cut=False).text(TASK, 1) == ("two", True)
    assert text(b"") == ("", False)
    many = b"".join(b"%d\n" % number for number in range(LINES + 5))
    shown_lines, cut = text(many)
    assert (shown_lines.split("\n")[0], len(shown_lines.split("\n")), cut) == ("5", LINES, True)


def test_a_line_that_was_cut_is_not_shown_unless_it_is_all_there_is():
    assert kept(b"half of a line\nwhole\n", ended=16 * 18) == Tail(b"whole\n", cut=True)
    assert kept(b"half of a line\n", ended=16 * 13) == Tail(b"lf of a line\n", cut=True)
    assert kept(b"half of a line\nwhole\n", ended=16 * 6) == Tail(b"whole\n", cut=True)


def test_progress_is_shown_as_a_terminal_would():
    assert text(b"10 %\r50 %\rdone\r\nnext\n")[0] == "done\nnext"


def test_terminal_codes_are_taken_out_and_deceiving_characters_escaped():
    assert shown("\x1b[1;31merror\x1b[0m: \x1b]8;;http://x\x1b\\here\x1b]8;;\x07") == "error: here"
    assert shown("a\tb \u202egnp.exe \x07") == "a\tb \\u202egnp.exe \\x07"
    assert text(b"caf\xc3\xa9 \xff\xfe") == ("café ��", False)

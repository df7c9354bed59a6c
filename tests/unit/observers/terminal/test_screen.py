"""The lines at the end of a terminal: what is written, write by write, and what is seen then."""

from __future__ import annotations

import os
import random
import socket
import threading

import pyte
import pytest

from fastrun.observers.terminal.screen import ScreenWriter, frame
from tests.support.amounts import many

ERASE = b"\r\x1b[J"
TWO = frame(["one", "two"])


class Wire:
    """A writer to datagram sockets, which keep the borders of writes."""

    def __init__(self, *, shared: bool) -> None:
        self.out, out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.err, err = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sockets = (self.out, out, self.err, err)
        self.writer = ScreenWriter({1: err.fileno() if shared else out.fileno(), 2: err.fileno()}, shared=shared)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()
        for one in self._sockets:
            one.close()


def test_what_is_shown_is_one_write_and_goes_with_one():
    with Wire(shared=True) as wire:
        wire.writer.show(TWO)
        assert wire.err.recv(1 << 16) == TWO
        wire.writer.show(b"")
        assert wire.err.recv(1 << 16) == ERASE


def test_output_takes_the_lines_off_and_brings_them_back_in_the_same_write():
    with Wire(shared=True) as wire:
        wire.writer.show(TWO)
        wire.err.recv(1 << 16)
        wire.writer.write([(1, b"x\n"), (1, b"y\n")])
        assert wire.err.recv(1 << 16) == ERASE + b"x\ny\n" + TWO
        wire.writer.write([(1, b"a\n"), (2, b"b\n"), (1, b"c\n")])
        assert [wire.err.recv(1 << 16) for _ in range(3)] == [ERASE + b"a\n", b"b\n", b"c\n" + TWO]


def test_output_that_goes_elsewhere_leaves_the_lines_alone():
    with Wire(shared=False) as wire:
        wire.writer.show(TWO)
        wire.err.recv(1 << 16)
        wire.writer.write([(1, b"x\n")])
        wire.writer.write([(2, b"e\n"), (1, b"y\n")])
        assert [wire.err.recv(1 << 16) for _ in range(2)] == [ERASE + b"e\n", TWO]
        assert [wire.out.recv(1 << 16) for _ in range(2)] == [b"x\n", b"y\n"]


def test_the_same_lines_are_not_drawn_again():
    with Wire(shared=True) as wire:
        wire.writer.show(TWO)
        wire.err.recv(1 << 16)
        wire.writer.show(TWO)
        wire.writer.hide()
        assert wire.err.recv(1 << 16) == ERASE


def test_a_screen_that_is_asked_for_often_is_drawn_once(monkeypatch):
    with Wire(shared=True) as wire:
        written: list[object] = []
        monkeypatch.setattr(wire.writer, "write", written.append)
        for number in range(100):
            wire.writer.show(frame([str(number)]))
        assert written == [[]]
        monkeypatch.undo()
        wire.writer.write([])
        assert wire.err.recv(1 << 16) == frame(["99"])


def test_while_more_output_waits_the_lines_are_drawn_ten_times_a_second():
    now = 100.0
    read_end, write_end = os.pipe()
    try:
        writer = ScreenWriter({1: write_end, 2: write_end}, shared=True, clock=lambda: now)
        # Called as its thread does, with one thing more to do.
        writer._wanted = TWO
        writer._write_pieces([(1, b"a\n")])
        writer._queue.put([])
        writer._write_pieces([(1, b"b\n")])
        writer._write_pieces([(1, b"c\n")])
        now += 0.2
        writer._write_pieces([(1, b"d\n")])
        assert os.read(read_end, 1 << 16) == b"a\n" + TWO + ERASE + b"b\nc\nd\n" + TWO
    finally:
        os.close(read_end)
        os.close(write_end)


def test_hiding_waits_until_nothing_is_there_and_not_for_ever():
    with Wire(shared=True) as wire:
        wire.writer.show(TWO)
        assert wire.err.recv(1 << 16) == TWO
        wire.writer.hide(60)
        assert wire.writer._drawn == b""
        assert wire.err.recv(1 << 16, socket.MSG_DONTWAIT) == ERASE
        # Nobody reads: as on a terminal that Ctrl-S has stopped.
        wire.writer.write([(2, b"x\n")] * 10)
        stuck = threading.Event()
        wire.writer._write = lambda *_: stuck.wait()
        wire.writer.write([(2, b"x\n")])
        wire.writer.hide(0.01)
        stuck.set()


def test_closing_takes_the_lines_off():
    with Wire(shared=True) as wire:
        wire.writer.show(TWO)
        wire.err.recv(1 << 16)
        assert wire.writer.close()
        assert wire.err.recv(1 << 16) == ERASE


def test_a_frame_moves_nothing_but_what_it_moves_back():
    screen = pyte.Screen(20, 5)
    stream = pyte.ByteStream(screen)
    stream.feed(b"out\r\n" + frame(["first", "second"]))
    assert [line.rstrip() for line in screen.display] == ["out", "", "first", "second", ""]
    assert (screen.cursor.y, screen.cursor.x) == (1, 0)
    stream.feed(frame(["1"]))
    assert [line.rstrip() for line in screen.display] == ["out", "", "1", "", ""]
    stream.feed(ERASE + b"more\r\n" * 4 + frame(["first", "second"]))
    assert [line.rstrip() for line in screen.display] == ["more", "more", "", "first", "second"]
    assert frame([]) == b""


@pytest.mark.parametrize("seed", range(many("screens with output and status by turns", 20, 2_000)))
def test_whatever_comes_when_every_line_of_output_is_there_once_and_nothing_else(seed):
    random_ = random.Random(seed)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reader, os.fdopen(write_end, "wb") as pipe:
        writer = ScreenWriter({1: pipe.fileno(), 2: pipe.fileno()}, shared=True)
        rows = random_.randint(2, 8)
        screen = pyte.HistoryScreen(20, rows, history=1_000, ratio=0.5)
        screen.set_mode(pyte.modes.LNM)
        stream = pyte.ByteStream(screen)
        expected = []
        for number in range(50):
            if random_.random() < 0.5:
                lines = [f"status {number}.{line}" for line in range(random_.randint(0, rows - 1))]
                writer._wanted = frame(lines)
                writer._write_pieces([])
            else:
                added = [f"out {number}.{line}" for line in range(random_.randint(1, rows + 2))]
                writer._write_pieces([(random_.choice([1, 2]), f"{line}\n".encode()) for line in added])
                expected += added
        writer._wanted = b""
        writer._write_pieces([])
        os.set_blocking(reader.fileno(), False)
        stream.feed(reader.read())
    above = ["".join(line[column].data for column in range(20)) for line in screen.history.top]
    assert [line.rstrip() for line in [*above, *screen.display] if line.strip()] == expected

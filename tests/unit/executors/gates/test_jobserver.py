"""Words, pipes and fifos of a jobserver, without a run."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sys
import termios
from typing import Any

import pytest
import uvloop

from fastrun.executors.gates import jobserver
from fastrun.executors.gates.jobserver import (
    Auth,
    Jobserver,
    Server,
    open_auth,
    parse_auth,
    reads_fifos,
    with_jobserver,
)
from fastrun.executors.guardian.guardian import Guardian
from tests.support.fakes import Told


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("", None),
        ("k", None),
        (" -j4", None),
        (" -j4 --jobserver-auth=3,4", Auth(None, 3, 4)),
        ("ks -j4 --jobserver-fds=5,6 -l2", Auth(None, 5, 6)),
        (" -j4 --jobserver-auth=3,4 --jobserver-auth=-2,-2", Auth(None, -2, -2)),
        (" -j4 --jobserver-auth=fifo:/tmp/GMfifo12", Auth("/tmp/GMfifo12")),
        ("--jobserver-fds=3,4 --jobserver-auth=fifo:/tmp/a\\ b\\\\c", Auth("/tmp/a b\\c")),
        (" -j4 -- X=--jobserver-auth=3,4", None),
        (" -j4 -- X=a\\ --jobserver-auth=3,4", None),
        (" --jobserver-auth=gmake_semaphore_12", None),
        (" --jobserver-auth=3", None),
        (" --jobserver-auth=99999999999999999999,4", None),
    ],
)
def test_the_last_jobserver_of_the_flags_counts(flags, found):
    assert parse_auth(flags) == found


@pytest.mark.parametrize(
    ("flags", "made"),
    [
        ("", " -j3 --jobserver-auth=A"),
        ("ks", "ks -j3 --jobserver-auth=A"),
        (" -j4 --jobserver-auth=3,4", " -j3 --jobserver-auth=A"),
        ("k -j 8 -l2 --jobserver-fds=5,6", "k -l2 -j3 --jobserver-auth=A"),
        ("--jobs=8 --jobserver-style=pipe -Iinc\\ lude", " -Iinc\\ lude -j3 --jobserver-auth=A"),
        (" -j -- X=1\\ 2 Y=-j8", " -j3 --jobserver-auth=A -- X=1\\ 2 Y=-j8"),
        ("--jobs 5", " -j3 --jobserver-auth=A"),
    ],
)
def test_all_else_stays_in_the_flags(flags, made):
    assert with_jobserver(flags, 3, "A") == made


@pytest.mark.parametrize(
    ("version", "fifos"),
    [
        ("GNU Make 4.3\nBuilt for", False),
        ("GNU Make 4.4.1\n", True),
        ("GNU Make 3.81", False),
        ("GNU Make 10.0", True),
        ("bmake", True),
        ("", True),
    ],
)
def test_old_make_reads_no_fifos(version, fifos):
    assert reads_fifos(version) is fifos


def count(descriptor: int) -> int:
    """Bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_jobserver_wakes_once_without_polling(fifo, loop_run):
    async def main() -> None:
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        told: Any = Told()
        changes = []
        gate = Jobserver(*open_auth(Auth(str(fifo.path))), guardian)
        gate.open(told, lambda: changes.append(True))
        assert [gate.take(running) for running in range(5)] == [True, True, True, True, False]
        assert not gate.take(4)
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert changes == []
        os.write(fifo.descriptor, b"xy")
        for _ in range(10_000):
            await asyncio.sleep(0.001)
            if changes:
                break
        # A caller that is told and takes nothing is not told again.
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert changes == [True]
        assert gate.take(4)
        gate.settle(5, 0)
        assert fifo.left() == b"y"
        gate.settle(2, 0)
        assert len(fifo.left()) == 4
        assert not told.warnings
        gate.close()
        gate.close()
        guardian.stop()

    loop_run(main())
    assert fifo.left() == b"abcxy"


def test_a_jobserver_that_breaks_leaves_one_command_at_a_time(fifo, loop_run):
    async def main() -> None:
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        told: Any = Told()
        gate = Jobserver(*open_auth(Auth(str(fifo.path))), guardian)
        gate.open(told, lambda: None)
        # What a snippet may do.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, gate._reader)
        assert [gate.take(0), gate.take(1), gate.take(1)] == [True, False, False]
        folder = os.open("/", os.O_RDONLY)
        os.dup2(folder, gate._reader)
        assert [gate.take(0), gate.take(1)] == [True, False]
        assert told.warnings == [
            "no more job slots (the pipe has no other end): from now on one command runs at a time"
        ]
        gate.close()
        guardian.stop()
        os.close(null)
        os.close(folder)

    loop_run(main())


def test_tokens_of_killed_programs_are_replaced_when_nothing_runs():
    async def main() -> None:
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        server = Server("", 4, "fifo", guardian)
        server.open(Told(), lambda: None)  # type: ignore[arg-type]
        thief = os.open(server._path, os.O_RDWR | os.O_NONBLOCK)
        assert os.read(thief, 2) == b"++"
        server.take(0)
        server.settle(1, 0)
        server.settle(0, 1)
        # Those that linger may still have them.
        assert count(thief) == 1
        server.settle(0, 0)
        assert count(thief) == 3
        os.write(thief, b"++")
        server.settle(0, 0)
        assert count(thief) == 3
        os.close(thief)
        server.close()
        guardian.stop()

    uvloop.run(main())


def test_the_fifo_is_private_and_has_a_plain_path(monkeypatch, tmp_path):
    strange = tmp_path / "a b"
    strange.mkdir()
    for folder, parent in ((tmp_path, str(tmp_path)), (strange, "/tmp")):
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        server = Server("k", 3, "fifo", guardian)
        assert os.path.dirname(server._folder) == parent
        assert os.stat(server._folder).st_mode & 0o777 == 0o700
        assert server.environment == {"MAKEFLAGS": f"k -j3 --jobserver-auth=fifo:{server._folder}/jobserver"}
        server.close()
        guardian.stop()
        assert not os.path.exists(server._folder)


def test_a_server_that_cannot_be_made_gives_everything_back(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    guardian = Guardian(os.urandom(8).hex(), wanted=False)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("mkfifo", "set_inheritable"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            with pytest.raises(ValueError, match="cannot make a jobserver: No space left on device"):
                jobserver.join_or_serve("", guardian, 2, "pipe", lambda _: None)
    guardian.stop()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("auth", "cause"),
    [
        (Auth("/nonexistent/fifo"), "No such file or directory: /nonexistent/fifo"),
        (Auth("/dev/null"), "not a fifo: /dev/null"),
        (Auth(None, -2, -2), "they are not open"),
        (Auth(None, 900, 901), "they are not open"),
    ],
)
def test_a_jobserver_that_is_none_is_refused(auth, cause):
    with pytest.raises(OSError, match=re.escape(cause)):
        open_auth(auth)


def test_pipes_that_were_not_left_to_this_process_are_refused():
    reader, writer = os.pipe()
    other, end = os.pipe()
    # Of its own, as those that it opens are.
    with pytest.raises(OSError, match="not open"):
        open_auth(Auth(None, reader, writer))
    for descriptor in (reader, writer, other):
        os.set_inheritable(descriptor, True)
    # Two pipes.
    with pytest.raises(OSError, match="not open"):
        open_auth(Auth(None, other, writer))
    found = open_auth(Auth(None, reader, writer))
    assert not os.get_blocking(found[0])
    # The property of those who share it.
    assert os.get_blocking(reader)
    for descriptor in (reader, writer, other, end, *found):
        os.close(descriptor)

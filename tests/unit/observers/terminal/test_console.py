"""What is printed, byte for byte."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import resource
import socket
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from fastrun import Cause, Console, Outcome, Report, Status, Task
from fastrun.observers.terminal.console import MODES
from fastrun.observers.writer import batch as batch_module
from fastrun.observers.writer import spool as spool_module
from fastrun.observers.writer import writer as writer_module
from fastrun.observers.writer.spool import Spool
from fastrun.observers.writer.writer import Writer
from fastrun.outcome import FIRST_START

if TYPE_CHECKING:
    from collections.abc import Callable

OK = Outcome(Status.OK)
A, B = Task("a", "exec", ""), Task("b", "exec", "")


class Printed:
    """What a console wrote to the two files it was given."""

    def __init__(self, folder, mode="stream", **options) -> None:
        self.files = [open(folder / name, "w+b") for name in ("out", "err")]  # noqa: SIM115
        self.console = Console(mode, stdout=self.files[0].fileno(), stderr=self.files[1].fileno(), **options)

    def __enter__(self) -> Console:
        return self.console

    def __exit__(self, *_: object) -> None:
        self.written = self.console.close()
        self.out, self.err = (self._read(file) for file in self.files)

    def _read(self, file):
        with file:
            file.seek(0)
            return file.read().decode()


def report(*results: tuple[str, Status, str | None]) -> Report:
    """A report of tasks with reasons, None for a task that never started."""
    tasks = [Task(name, "exec", "") for name, _, _ in results]
    outcomes = {
        number: Outcome(status, Cause.EXCEPTION if reason else None, reason or "")
        for number, (_, status, reason) in enumerate(results)
        if reason is not None and status is not Status.OK
    }
    return Report(tasks, bytes(status for _, status, _ in results), outcomes, 7.018)


def test_lines_of_a_task_stand_between_started_and_ended(tmp_path):
    with (printed := Printed(tmp_path)) as console:
        console.task_started(0, A, FIRST_START)
        console.task_output(0, A, 1, b"one\ntw")
        console.task_output(0, A, 1, b"o\n")
        console.task_ended(0, A, OK)
    assert printed.out == "Started: a\none\ntwo\nEnded : a\n"


def test_lines_of_two_tasks_never_mix_and_a_last_line_gets_an_end(tmp_path):
    with (printed := Printed(tmp_path)) as console:
        console.task_started(0, A, FIRST_START)
        console.task_started(1, B, FIRST_START)
        console.task_output(0, A, 1, b"a1")
        console.task_output(1, B, 1, b"b1")
        console.task_output(0, A, 1, b" a2\na3")
        console.task_output(0, A, 2, b"e1")
        console.task_ended(1, B, OK)
        console.task_ended(0, A, OK)
    assert printed.out == "Started: a\nStarted: b\na1 a2\nb1\nEnded : b\na3\nEnded : a\n"
    assert printed.err == "e1\n"


@pytest.mark.parametrize("options", [{}, {"color": True}, {"verbose": True}, {"mode": "quiet"}, {"mode": "prefix"}])
def test_tasks_that_ran_are_printed_as_each_of_them_would_be(tmp_path, options):
    tasks = [A, B, Task("%s##[error]", "eval", "")] if options.get("verbose") else [A, B, Task("%s", "eval", "")]

    async def shown(tell) -> tuple[str, str]:
        with (printed := Printed(tmp_path, **options)) as console:
            console.run_started(tasks)
            tell(console)
        return printed.out, printed.err

    def one_by_one(console) -> None:
        for number in (2, 0, 1):
            console.task_started(number, tasks[number], FIRST_START)
            console.task_ended(number, tasks[number], OK)

    out, err = asyncio.run(shown(lambda console: console.tasks_ran([2, 0, 1], tasks)))
    assert (out, err) == asyncio.run(shown(one_by_one))
    assert ("Ended : " in out) == (options.get("mode") != "quiet")


def test_group_prints_a_task_as_one_block_at_its_end(tmp_path):
    with (printed := Printed(tmp_path, "group")) as console:
        console.task_started(0, A, FIRST_START)
        console.task_started(1, B, FIRST_START)
        console.task_output(0, A, 1, b"a1\na2")
        console.task_output(1, B, 1, b"b1\n")
        console.task_output(0, A, 1, b"\n")
        console.task_output(0, A, 2, b"e\n")
        console.task_ended(0, A, OK)
        console.task_output(1, B, 1, b"b2")
        console.task_ended(1, B, OK)
        console.task_output(0, A, 1, b"late\n")
    assert printed.out == ("Started: a\nStarted: b\nOutput: a\na1\na2\nEnded : a\nOutput: b\nb1\nb2\nEnded : b\nlate\n")
    assert printed.err == "e\n"


def test_quiet_prints_only_tasks_that_failed(tmp_path):
    with (printed := Printed(tmp_path, "quiet")) as console:
        for number, (task, outcome) in enumerate(((A, OK), (B, Outcome(Status.FAILED, Cause.EXCEPTION, "x")))):
            console.task_started(number, task, FIRST_START)
            console.task_output(number, task, 1, b"out")
            console.task_output(number, task, 2, b"err\n")
            console.task_ended(number, task, outcome)
            console.task_output(number, task, 1, b"late\n")
    assert printed.out == "Started: b\nout\nEnded : b\nlate\n"
    assert printed.err == "err\nfastrun: b: x\n"


def test_quiet_closes_the_file_of_a_block_that_it_drops(tmp_path):
    with (printed := Printed(tmp_path, "quiet")) as console:
        console.task_started(0, A, FIRST_START)
        console.task_output(0, A, 1, b"x" * 99 + b"\n")
        for _ in range(2 * spool_module.LIMIT // 100):
            console.task_output(0, A, 1, b"x" * 99 + b"\n")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            console.task_ended(0, A, OK)
            gc.collect()
    assert not caught
    assert printed.out == ""


def test_a_task_that_never_started_prints_nothing(tmp_path):
    with (printed := Printed(tmp_path)) as console:
        console.task_ended(0, A, Outcome(Status.SKIPPED, Cause.DEPENDENCY, "b"))
        console.task_ended(1, B, Outcome(Status.INTERRUPTED))
    assert printed.out == ""


def test_names_and_reasons_cannot_forge_a_line(tmp_path):
    evil = Task("x\nEnded : y\x1b[2J\u202e", "exec", "")
    with (printed := Printed(tmp_path)) as console:
        console.task_started(0, evil, FIRST_START)
        console.task_ended(0, evil, OK)
        console.warn("a\nb")
        console.run_ended(report((evil.name, Status.FAILED, "E: 1\nok       z")))
    name = "x\\nEnded : y\\x1b[2J\\u202e"
    assert printed.out == (
        f"Started: {name}\nEnded : {name}\nReport:\nfailed   {name}  E: 1\\nok       z\n"
        "1 task: 0 ok, 1 failed in 7.02 s\n"
    )
    assert printed.err == "fastrun: warning: a\\nb\n"


def test_the_report_has_a_line_per_task_and_one_of_counts(tmp_path):
    with (printed := Printed(tmp_path)) as console:
        console.run_ended(
            report(
                ("task1", Status.OK, ""),
                ("task6", Status.FAILED, "exit status 1"),
                ("task9", Status.SKIPPED, "task6 failed"),
                ("task10", Status.INTERRUPTED, ""),
                ("task11", Status.INTERRUPTED, None),
            )
        )
    assert printed.out == (
        "Report:\n"
        "ok       task1\n"
        "failed   task6  exit status 1\n"
        "skipped  task9  task6 failed\n"
        "interrupted task10\n"
        "5 tasks: 1 ok, 1 failed, 1 skipped, 2 interrupted (1 not started) in 7.02 s\n"
    )
    assert printed.written


def test_the_report_of_no_tasks(tmp_path):
    with (printed := Printed(tmp_path)) as console:
        console.run_ended(report())
    assert printed.out == "Report:\n0 tasks: 0 ok in 7.02 s\n"


def test_verbose_shows_commands_on_standard_error(tmp_path):
    with (printed := Printed(tmp_path, verbose=True)) as console:
        console.task_started(0, Task("a", "eval", "x = 1\ny"), FIRST_START)
    assert printed.err == "fastrun: a: eval: x = 1\\ny\n"


def test_a_run_that_never_reported_is_not_written(tmp_path):
    with (printed := Printed(tmp_path)) as console:
        console.task_started(0, A, FIRST_START)
    assert not printed.written


class Clockwork:
    """A loop whose time stands still until ``turn``; it says what was written in between."""

    def __init__(self, console: Console, written: socket.socket) -> None:
        console.run_started([])
        console._batch._loop = self  # type: ignore[assignment]
        self._written = written
        self._now = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._due.append((self._now, callback))

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        self._due.append((self._now + delay, callback))

    def turn(self, later: float = 0.0) -> bytes:
        self._now += later
        due, self._due = self._due, []
        for when, callback in due:
            if when <= self._now:
                callback()
            else:
                self._due.append((when, callback))
        try:
            return self._written.recv(1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def clockwork():
    # A datagram socket keeps the borders of writes.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    console = Console(stdout=theirs.fileno(), stderr=theirs.fileno())
    # What it writes by itself, and at once.
    console._batch.writer._fits = 1 << 20

    async def begin() -> Clockwork:
        return Clockwork(console, ours)

    with ours, theirs:
        yield console, asyncio.run(begin())


def test_output_after_a_pause_is_written_at_once_and_more_of_it_together(clockwork):
    console, loop = clockwork
    console.task_started(0, A, FIRST_START)
    console.task_output(0, A, 1, b"x\n")
    assert loop.turn() == b"Started: a\nx\n"
    for _ in range(2):
        console.task_output(0, A, 1, b"y\n")
        assert loop.turn(0.001) == b""
    console.task_ended(0, A, OK)
    assert loop.turn(0.01) == b"y\ny\nEnded : a\n"
    assert loop.turn(1.0) == b""
    console.task_started(0, A, FIRST_START)
    assert loop.turn() == b"Started: a\n"


def test_much_output_is_written_in_every_turn(clockwork, monkeypatch):
    monkeypatch.setattr(batch_module, "ENOUGH", 250)
    console, loop = clockwork
    console.task_started(0, A, FIRST_START)
    assert loop.turn() == b"Started: a\n"
    much = b"x" * 70 + b"\n"
    for _ in range(3):
        console.task_output(0, A, 1, much)
        assert loop.turn() == b""
    console.task_output(0, A, 1, much)
    console.task_output(0, A, 1, b"y\n")
    assert loop.turn() == 4 * much + b"y\n"
    console.close()


def test_waiting_lines_are_written_when_the_console_closes(clockwork):
    console, loop = clockwork
    console.task_started(0, A, FIRST_START)
    assert loop.turn() == b"Started: a\n"
    console.task_ended(0, A, OK)
    console.close()
    assert loop.turn() == b"Ended : a\n"


@pytest.mark.parametrize("mode", ["stream", "group"])
def test_a_line_without_end_takes_no_memory_and_is_whole(tmp_path, mode, monkeypatch):
    monkeypatch.setattr(spool_module, "LIMIT", 1_000)
    with (printed := Printed(tmp_path, mode)) as console:
        console.task_started(0, A, FIRST_START)
        console.task_started(1, B, FIRST_START)
        for number in range(100):
            console.task_output(0, A, 1, b"%04d" % number * 25)
        assert all(spool._in_memory <= 1_000 for spool in console._beginnings.values())
        console.task_output(1, B, 1, b"b\n")
        console.task_ended(1, B, OK)
        console.task_ended(0, A, OK)
    line = "".join(f"{number:04}" * 25 for number in range(100))
    heading = "Output: {}\n".format if mode == "group" else "".format
    assert printed.out == (f"Started: a\nStarted: b\n{heading('b')}b\nEnded : b\n{heading('a')}{line}\nEnded : a\n")


def test_a_spool_gives_back_its_pieces_in_order_beyond_its_memory(monkeypatch):
    monkeypatch.setattr(spool_module, "LIMIT", 10)
    spool = Spool()
    pieces = [(1 + number % 2, bytes([number]) * number) for number in range(1, 50)]
    for stream, data in pieces:
        spool.append(stream, data)
    assert spool.size == sum(len(data) for _, data in pieces)
    assert spool._in_memory <= 10
    assert list(spool.pieces()) == pieces


def test_a_spool_without_room_on_disk_keeps_all_in_memory(monkeypatch):
    monkeypatch.setattr(spool_module, "LIMIT", 1_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    spool = Spool()
    pieces = [(1 + number % 2, b"%03d" % number * 20) for number in range(500)]
    # A file may grow to a third of what comes, and the write that meets the end is cut short.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_001, hard))
    try:
        for stream, data in pieces:
            spool.append(stream, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(spool.pieces()) == pieces


def test_no_folder_for_a_spools_file_keeps_all_in_memory(monkeypatch):
    import tempfile

    monkeypatch.setattr(spool_module, "LIMIT", 10)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    spool = Spool()
    for number in range(3):
        spool.append(number, b"x" * 11)
    assert list(spool.pieces()) == [(number, b"x" * 11) for number in range(3)]


class Pipe:
    """A pipe with a writer at one end."""

    def __init__(self) -> None:
        self.read_end, write_end = os.pipe()
        self.writer = Writer({1: write_end, 2: write_end})
        self.write_end = write_end

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self.read_end, self.write_end):
            if descriptor is not None:
                os.close(descriptor)

    def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            data += os.read(self.read_end, size - len(data))
        return bytes(data)


def test_reader_that_does_not_read_holds_up_no_task_and_loses_nothing():
    with Pipe() as pipe:
        expected = b""
        for number in range(300):
            piece = bytes([number % 256]) * 20_000
            pipe.writer.write([(1 + number % 2, piece)])
            expected += piece
        assert pipe.writer.congested
        assert pipe.read(len(expected)) == expected
        assert pipe.writer.close()
        assert not pipe.writer.congested


def test_a_stuck_reader_is_given_up_after_the_timeout():
    with Pipe() as pipe:
        pipe.writer.write([(1, b"x" * 200_000)])
        assert not pipe.writer.close(0.01)
        assert pipe.read(200_000) == b"x" * 200_000
        assert pipe.writer.close()


def test_stream_that_another_process_made_non_blocking_loses_nothing():
    with Pipe() as pipe:
        os.set_blocking(pipe.write_end, False)
        reader = threading.Thread(target=lambda: seen.append(pipe.read(500_000)))
        seen: list[bytes] = []
        pipe.writer.write([(1, b"x" * 500_000)])
        reader.start()
        assert pipe.writer.close()
        reader.join()
    assert seen == [b"x" * 500_000]


def test_a_non_blocking_stream_may_have_any_number():
    # select takes none above 1023.
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2_000, most), most))
    read_end, write_end = os.pipe()
    high = fcntl.fcntl(write_end, fcntl.F_DUPFD_CLOEXEC, 1_500)
    try:
        os.set_blocking(high, False)
        writer = Writer({1: high, 2: high})
        writer.write([(1, b"x" * 500_000)])
        with open(read_end, "rb") as reader:
            assert len(reader.read(500_000)) == 500_000
        assert writer.close()
        assert not writer.failed
    finally:
        os.close(high)
        os.close(write_end)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


def test_output_that_the_thread_could_not_write_for_any_reason_is_not_written(monkeypatch, tmp_path):
    def write_nothing(_descriptor: int, _data: bytes) -> None:
        raise MemoryError

    with open(tmp_path / "out", "w+b") as file:
        writer = Writer({1: file.fileno()})
        monkeypatch.setattr(writer, "_fits", 0)
        with monkeypatch.context() as once:
            once.setattr(writer_module, "_write_all", write_nothing)
            writer.write([(1, b"lost")])
            assert writer.close()
    assert writer.failed
    assert writer.failure == "cannot write to standard output: MemoryError()"
    assert not writer.congested


def test_a_full_disk_is_said_once_and_not_written_is_returned(tmp_path):
    with open("/dev/full", "wb", buffering=0) as full, open(tmp_path / "err", "w+b", buffering=0) as err:
        console = Console(stdout=full.fileno(), stderr=err.fileno())
        for number, task in enumerate((A, B)):
            console.task_started(number, task, FIRST_START)
            console._batch.flush()
            console.task_ended(number, task, OK)
            console._batch.flush()
        console.run_ended(report(("a", Status.OK, "")))
        assert not console.close()
        err.seek(0)
        expected = b"fastrun: cannot write to standard output: No space left on device; the tasks go on without it\n"
        assert err.read() == expected


def test_files_are_written_in_the_calling_thread(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        writer = Writer({1: file.fileno(), 2: file.fileno()})
        writer.write([(1, b"x" * (writer_module._AT_ONCE // 2))])
        assert writer._thread is None
        assert writer.close()


def test_a_terminal_is_written_by_the_thread_since_it_may_take_no_more_than_a_byte():
    ours, theirs = os.openpty()
    try:
        writer = Writer({1: theirs, 2: theirs})
        writer.write([(1, b"x")])
        assert writer._thread is not None
        assert writer.close()
        assert os.read(ours, 10) == b"x"
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_a_thread_for_the_writer_nothing_is_lost(monkeypatch, tmp_path):
    # Injected: a limit on threads does not bind root.
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with open(tmp_path / "out", "w+b") as file:
        writer = Writer({1: file.fileno(), 2: file.fileno()})
        monkeypatch.setattr(writer, "_fits", 0)
        writer.write([(1, b"x"), (2, b"y")])
        assert writer.close()
        file.seek(0)
        assert file.read() == b"xy"


def test_prefix_names_the_task_of_each_line_on_both_streams(tmp_path):
    long = Task("compile", "exec", "")

    async def prints(console: Console) -> None:
        console.run_started([A, long])
        console.task_started(0, A, FIRST_START)
        console.task_started(1, long, FIRST_START)
        console.task_output(0, A, 1, b"one\ntw")
        console.task_output(1, long, 1, b"x\ny\n")
        console.task_output(0, A, 1, b"o\n\nthree")
        console.task_output(0, A, 2, b"err\n")
        console.task_ended(0, A, OK)
        console.task_output(0, A, 1, b"late\n")
        console.task_ended(1, long, OK)

    with (printed := Printed(tmp_path, "prefix")) as console:
        asyncio.run(prints(console))
    assert printed.out == (
        "Started: a\nStarted: compile\n[a]       one\n[compile] x\n[compile] y\n[a]       two\n[a]       \n"
        "[a]       three\nEnded : a\n[a]       late\nEnded : compile\n"
    )
    assert printed.err == "[a]       err\n"


def test_a_failure_shows_what_was_printed_without_the_prefix(tmp_path):
    failed = Outcome(Status.FAILED, Cause.EXIT, 2)
    with (printed := Printed(tmp_path, "prefix")) as console:
        console.task_started(0, A, FIRST_START)
        console.task_output(0, A, 1, b"one\ntw")
        console.task_output(0, A, 1, b"o\n")
        assert console.tail(0) == b"one\ntwo\n"
        console.task_ended(0, A, failed)
        console.run_ended(Report([A], bytes([Status.FAILED]), {0: failed}, 1.0))
    assert "    | one\n    | two\n" in printed.out


def test_blocks_fold_in_the_log_of_github(tmp_path):
    task = Task("a%b", "exec", "")
    with (printed := Printed(tmp_path, "group", folds=True)) as console:
        for number, (each, output) in enumerate(((task, b"x\n"), (B, b""))):
            console.task_started(number, each, FIRST_START)
            if output:
                console.task_output(number, each, 1, output)
            console.task_ended(number, each, OK)
    # A task that prints nothing has no block.
    assert printed.out == ("Started: a%b\n::group::a%25b\nx\n::endgroup::\nEnded : a%b\nStarted: b\nEnded : b\n")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("color", [False, True])
def test_a_failure_is_told_when_it_happens(tmp_path, mode, color):
    allowed = Outcome(Status.FAILED, Cause.EXIT, 1, allowed=True)
    with (printed := Printed(tmp_path, mode, error_color=color)) as console:
        console.task_started(0, A, FIRST_START)
        console.task_ended(0, A, Outcome(Status.FAILED, Cause.EXIT, 2))
        console.task_started(1, B, FIRST_START)
        console.task_ended(1, B, allowed)
        console.task_started(2, A, FIRST_START)
        console.task_ended(2, A, Outcome(Status.INTERRUPTED))
        console.task_ended(3, B, Outcome(Status.FAILED, Cause.CANNOT_START, "no room"))
        console.task_ended(4, B, Outcome(Status.SKIPPED, Cause.DEPENDENCY, "a"))
    lines = ["fastrun: a: exit status 2", "fastrun: b: exit status 1 (allowed)", "fastrun: b: cannot start: no room"]
    assert printed.err.splitlines() == [f"\x1b[31m{line}\x1b[m" if color else line for line in lines]


@pytest.mark.parametrize(
    ("mode", "what", "times"), [("quiet", "problems", 1), ("quiet", "all", 2), ("stream", "problems", 2)]
)
def test_quiet_with_problems_shows_what_a_failed_task_printed_once(tmp_path, mode, what, times):
    failed = Outcome(Status.FAILED, Cause.EXIT, 2)
    with (printed := Printed(tmp_path, mode, report=what)) as console:
        console.task_started(0, A, FIRST_START)
        console.task_output(0, A, 1, b"what went wrong\n")
        console.task_ended(0, A, failed)
        console.run_ended(Report([A], bytes([Status.FAILED]), {0: failed}, 1.0))
    assert printed.out.count("what went wrong") == times
    assert "  failed: a  exit status 2\n" in printed.out


def test_the_last_lines_say_what_went_wrong(tmp_path):
    failed = Outcome(Status.FAILED, Cause.EXIT, 2)
    with (printed := Printed(tmp_path, times=lambda: ["Times:", "  1 s"])) as console:
        console.task_started(0, A, FIRST_START)
        console.task_ended(0, A, failed)
        console.run_ended(Report([A, B], bytes([Status.FAILED, Status.OK]), {0: failed}, 1.0))
    assert printed.out.partition("Report:\n")[2] == (
        "failed   a  exit status 2\nok       b\nTimes:\n  1 s\nFailures:\n  failed: a  exit status 2\n"
        "2 tasks: 1 ok, 1 failed in 1.00 s\n"
    )


@pytest.mark.parametrize("what", ["all", "problems"])
def test_tasks_that_never_started_are_counted_and_not_listed(tmp_path, what):
    interrupted = [(f"t{number}", Status.INTERRUPTED, None) for number in range(3928)]
    with (printed := Printed(tmp_path, report=what)) as console:
        console.run_ended(report(("a", Status.INTERRUPTED, ""), *interrupted))
    assert printed.out == ("Report:\ninterrupted a\n3929 tasks: 0 ok, 3929 interrupted (3928 not started) in 7.02 s\n")


def test_the_log_of_a_failed_task_is_named(tmp_path):
    failed = Outcome(Status.FAILED, Cause.EXIT, 2)
    with (printed := Printed(tmp_path, log="logs/{}.log".format)) as console:
        console.task_started(0, A, FIRST_START)
        console.task_ended(0, A, failed)
        console.run_ended(Report([A], bytes([Status.FAILED]), {0: failed}, 1.0))
    assert "    log: logs/0.log\n" in printed.out

"""The journal's file: its lock, its writes and its syncs, whatever happens to it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastrun.journal.file import SYNC_SECONDS, JournalFile
from fastrun.journal.recorded import read_journal
from fastrun.journal.records import JournalError, run_record, start_record
from tests.support.processes import LIMIT, environment, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
from tests.support.journals import line_of, whole_lines, write_some


def test_new_file_is_its_owners_alone(path):
    before = os.umask(0)
    try:
        JournalFile.open(path, False).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_with_a_run_is_only_gone_on_with_when_asked_to(path, written):
    with pytest.raises(JournalError, match=r"run\.journal: already holds a run: --resume goes on with it"):
        JournalFile.open(path, False)
    assert path.read_bytes() == written
    with closing(JournalFile.open(path, True)) as journal:
        assert set(journal.recorded.ok) == {"a", "é\n"}
        assert journal.notes == []
    assert path.read_bytes() == written


@pytest.mark.parametrize("resume", [False, True])
def test_empty_file_is_a_new_journal(path, resume):
    path.touch()
    with closing(JournalFile.open(path, resume)) as journal:
        write_some(journal)
    assert len(read_journal(path.read_bytes()).runs) == 1


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("content", [b"\n", b"precious", b"deadbeef", b'{"tasks": []}\n', b"0" * 8 + b" {}\n"])
def test_something_else_is_refused_and_untouched(path, resume, content):
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(JournalError, match=r"run\.journal: not a journal of fastrun"):
        JournalFile.open(path, resume)
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == 1


@pytest.mark.parametrize("resume", [False, True])
def test_journal_with_a_damaged_first_line_or_a_newer_format_is_untouched(path, written, resume):
    for data in (written.replace(b"run-1", b"run-2"), written + line_of({"record": "run", "format": 2})):
        path.write_bytes(data)
        with pytest.raises(JournalError):
            JournalFile.open(path, resume)
        assert path.read_bytes() == data


def test_only_a_regular_file_can_be_a_journal(tmp_path):
    with pytest.raises(JournalError, match="/dev/null: not a regular file"):
        JournalFile.open("/dev/null", False)
    with pytest.raises(IsADirectoryError):
        JournalFile.open(tmp_path, False)
    with pytest.raises(FileNotFoundError):
        JournalFile.open(tmp_path / "missing" / "file", False)


def test_errors_show_a_path_on_one_line(tmp_path):
    path = tmp_path / "a\nb"
    path.write_bytes(b"x")
    with pytest.raises(JournalError, match=r"^[^\n]*/a\\nb: not a journal of fastrun$"):
        JournalFile.open(path, False)


def test_torn_tail_is_cut_off_and_said(path, written):
    whole = whole_lines(written, len(written) - 1)
    path.write_bytes(written[:-1])
    with closing(JournalFile.open(path, True)) as journal:
        many = len(written) - 1 - len(whole)
        assert journal.notes == [f"{path}: cut off {many} damaged bytes after the last whole record"]
        assert journal.recorded.exit_code is None
        assert path.read_bytes() == whole
        journal.append(start_record("z", "key-z", 1))
    assert read_journal(path.read_bytes()).damaged == 0
    assert "z" in read_journal(path.read_bytes()).unfinished


@pytest.mark.parametrize("resume", [False, True])
def test_torn_first_record_is_no_run(path, written, resume):
    path.write_bytes(written[:60])
    with closing(JournalFile.open(path, resume)) as journal:
        assert journal.notes == [f"{path}: cut off 60 damaged bytes after the last whole record"]
        write_some(journal)
    assert len(read_journal(path.read_bytes()).runs) == 1


_HOLDER = """
import sys
from fastrun.journal.file import JournalFile
from fastrun.journal.records import run_record, start_record
journal = JournalFile.open(sys.argv[1], True)
if sys.argv[2] == "run":
    journal.append(run_record("held", "h"))
    journal.flush()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path, what: str = "run") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the journal open, until its standard input ends."""
    command = [sys.executable, "-c", _HOLDER, os.fspath(path), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("killed", [False, True])
def test_two_runners_cannot_have_one_journal(path, killed):
    with holder(path) as process:
        for resume in (False, True):
            with pytest.raises(JournalError, match=rf"run\.journal: in use by process {process.pid}$"):
                JournalFile.open(path, resume)
        if killed:
            process.send_signal(signal.SIGKILL)
        else:
            process.communicate()
        process.wait(LIMIT)
        with closing(JournalFile.open(path, True)) as journal:
            assert journal.recorded.runs[-1].pid == process.pid


def test_holder_without_a_run_record_is_not_taken_for_the_last_holder(path):
    with holder(path) as process:
        process.kill()
        process.wait()
    with holder(path, "nothing"), pytest.raises(JournalError, match=r"in use by another process$"):
        JournalFile.open(path, True)


# In a process without other threads: from Python 3.12 on a fork beside threads, such as pytest-xdist's, is a warning.
_FORKS = """
import os, sys
from fastrun.journal.file import JournalFile
journal = JournalFile.open(sys.argv[1], False)
read_end, write_end = os.pipe()
copy = os.fork()
if not copy:
    os.close(write_end)
    os.read(read_end, 1)
    os._exit(0)
journal.close()
journal.close()
JournalFile.open(sys.argv[1], False).close()
os.close(write_end)
os.waitpid(copy, 0)
"""


def test_closing_gives_up_the_lock_even_while_a_forked_copy_lives(path):
    command = [sys.executable, "-W", "error", "-c", _FORKS, os.fspath(path)]
    result = subprocess.run(command, capture_output=True, env=environment(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


def test_records_reach_the_file_when_they_are_flushed(path):
    with closing(JournalFile.open(path, False)) as journal:
        assert journal.append(run_record("r", "h")) == 1
        assert journal.append(start_record("a", "k", 1)) == 2
        assert path.read_bytes() == b""
        journal.flush()
        data = path.read_bytes()
        assert data.count(b"\n") == 2
        journal.flush()
        assert path.read_bytes() == data


def test_closing_writes_and_syncs_what_is_left(path):
    synced: list[int] = []
    journal = JournalFile.open(path, False)
    journal.on_synced = synced.append
    write_some(journal)
    number = journal.append(start_record("last", "k", 1))
    journal.close()
    assert "last" in read_journal(path.read_bytes()).unfinished
    assert journal.synced == synced[-1] == number == 11
    assert synced == sorted(set(synced))


def test_closing_ends_the_thread_whenever_it_comes(path):
    class Late(threading.Event):
        """Lets the journal be closed between the thread's look at whether it is and its taking back of the news."""

        def clear(self) -> None:
            # Not while the flush that has started this thread is still at it: all calls are one thread's.
            assert flushed.wait(LIMIT)
            closer.start()
            assert closed.wait(LIMIT)
            super().clear()

    class Closed(threading.Event):
        def set(self) -> None:
            super().set()
            closed.set()

    closed, flushed = threading.Event(), threading.Event()
    journal = JournalFile.open(path, False)
    journal._unsynced = Late()
    journal._closing = Closed()
    closer = threading.Thread(target=journal.close, daemon=True)
    journal.append(run_record("r", "h"))
    journal.flush()
    flushed.set()
    assert closed.wait(LIMIT)
    closer.join(LIMIT)
    assert not closer.is_alive()


def test_a_sync_follows_a_flush_and_the_next_not_before_its_time(path):
    synced: list[tuple[int, float, str]] = []
    news = threading.Condition()

    def on_synced(number: int) -> None:
        with news:
            synced.append((number, time.monotonic(), threading.current_thread().name))
            news.notify()

    with closing(JournalFile.open(path, False)) as journal:
        journal.on_synced = on_synced
        for _ in range(3):
            number = journal.append(run_record("r", "h"))
            journal.flush()
            with news:
                assert news.wait_for(lambda: synced and synced[-1][0] == number, LIMIT)  # noqa: B023
            assert journal.synced == number
    times = [moment for _, moment, _ in synced]
    assert all(after - before >= SYNC_SECONDS for before, after in pairwise(times))
    assert [number for number, *_ in synced] == [1, 2, 3]
    assert {name for *_, name in synced} == {"fastrun-journal"}


def test_no_signal_wakes_the_thread_that_syncs(path):
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("run", "hash"))
        journal.flush()
        thread = next(thread for thread in threading.enumerate() if thread.name == "fastrun-journal")
        status = Path(f"/proc/self/task/{thread.native_id}/status")

        def blocked() -> int:
            line = next(line for line in status.read_text().splitlines() if line.startswith("SigBlk:"))
            return int(line.split()[1], 16)

        wait_for(lambda: bool(blocked() & 1 << signal.SIGCHLD - 1))


def test_without_a_thread_left_flushing_syncs(path):
    code = """
import resource, sys, threading
from fastrun.journal.file import JournalFile
from fastrun.journal.records import run_record, start_record
def refuse(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
journal = JournalFile.open(sys.argv[1], False)
for number in (1, 2):
    journal.append(run_record("r", "h"))
    journal.flush()
    assert journal.synced == number
journal.close()
"""
    subprocess.run([sys.executable, "-c", code, os.fspath(path)], env=environment(), check=True, timeout=LIMIT)


_FULL = """
import resource, signal, sys
from fastrun.journal.file import JournalFile
from fastrun.journal.records import run_record, start_record
limit, batch = map(int, sys.argv[2:])
journal = JournalFile.open(sys.argv[1], False)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
journal.append(run_record("r", "h"))
journal.flush()
errors = []
for number in range(1, 41):
    journal.append(start_record(f"task {number}", "k", 1))
    if not number % batch:
        try:
            journal.flush()
        except OSError as error:
            errors.append(error.strerror)
journal.close()
assert errors and set(errors) == {"File too large"}, errors
assert journal.failed.strerror == "File too large"
print(len(errors), journal.synced)
"""


@pytest.mark.parametrize("batch", [1, 4, 40])
@pytest.mark.parametrize("limit", [1500, 1501, 1560])
def test_full_disk_leaves_whole_records_and_nothing_behind_them(path, batch, limit):
    command = [sys.executable, "-c", _FULL, os.fspath(path), str(limit), str(batch)]
    result = subprocess.run(command, capture_output=True, env=environment(), check=True, timeout=LIMIT)
    errors, synced = map(int, result.stdout.split())
    data = path.read_bytes()
    recorded = read_journal(data)
    count = len(recorded.unfinished)
    assert recorded.damaged == 0
    assert limit - 100 < len(data) <= limit
    assert list(recorded.unfinished) == [f"task {number}" for number in range(1, count + 1)]
    # All that is in the file is on the disk; every flush after the first that failed fails too.
    assert synced == 1 + count
    assert errors == 40 // batch - count // batch


def put(fd: int, journal: JournalFile) -> None:
    """Put something else in the place of the journal's file."""
    os.dup2(fd, journal._fd, inheritable=False)
    os.close(fd)


def test_after_an_error_nothing_is_written_any_more(path):
    journal = JournalFile.open(path, False)
    kept = os.dup(journal._fd)
    journal.append(run_record("r", "h"))
    put(os.open("/dev/full", os.O_WRONLY), journal)
    with pytest.raises(OSError, match="No space left") as first:
        journal.flush()
    assert journal.failed is first.value
    # There is room again.
    put(kept, journal)
    journal.append(run_record("r", "h"))
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            journal.flush()
    journal.close()
    assert path.read_bytes() == b""
    assert journal.synced == 0


def test_failed_sync_is_told_and_not_tried_again(path):
    errors: list[OSError] = []
    synced: list[int] = []
    told = threading.Event()

    def on_error(error: OSError) -> None:
        errors.append(error)
        told.set()

    journal = JournalFile.open(path, False)
    journal.on_error, journal.on_synced = on_error, synced.append
    kept = os.dup(journal._fd)
    read_end, write_end = os.pipe()
    # A pipe can be written, and not synced.
    put(write_end, journal)
    journal.append(run_record("r", "h"))
    journal.flush()
    assert told.wait(LIMIT)
    assert journal.failed is errors[0]
    # A sync would work again, and say so of what was lost.
    put(kept, journal)
    journal.append(run_record("r", "h"))
    with pytest.raises(OSError, match="Invalid argument"):
        journal.flush()
    journal.close()
    os.close(read_end)
    assert (len(errors), synced, journal.synced) == (1, [], 0)
    assert path.read_bytes() == b""

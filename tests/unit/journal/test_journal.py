"""The journal: what is read is what was written, or the beginning of it, whatever happened to the file."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun import Outcome, Status, Task
from fastrun.document.parse import read
from fastrun.document.problems import Source
from fastrun.document.task import Document
from fastrun.journal.file import SYNC_SECONDS, JournalFile
from fastrun.journal.keys import task_keys
from fastrun.journal.machine import boot_id, process_start_time, ticks_now
from fastrun.journal.records import (
    JournalError,
    done_record,
    end_record,
    read_journal,
    redo_record,
    run_record,
    skip_record,
    start_record,
)
from fastrun.plan.graph import build
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, wait_for
from tests.support.strategies import documents, graphs

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = Outcome(Status.OK)
FAILED = Outcome(Status.FAILED, "exit status 3")


def line_of(record: Any, data: bytes | None = None) -> bytes:
    """A line with a checksum that is right."""
    data = orjson.dumps(record) if data is None else data
    return b"%08x %b\n" % (crc32(data), data)


def write_some(journal: JournalFile) -> None:
    """Ten records: a run with a task of each end."""
    journal.append(run_record("run-1", "hash-1"))
    journal.append(start_record("a", "key-a", 1, 10, 1000))
    journal.append(start_record("b", "key-b", 1))
    journal.append(end_record("a", "key-a", 1, OK, 1.5))
    journal.flush()
    journal.append(end_record("b", "key-b", 1, FAILED, 2))
    journal.append(start_record("b", "key-b", 2, 11, 1001))
    journal.append(start_record("é\n", "key-c", 1, 12, None))
    journal.append(end_record("é\n", "key-c", 1, OK, 0.25))
    journal.append(skip_record("d", "b"))
    journal.append(done_record({Status.OK: 2, Status.FAILED: 1}, 1))
    journal.flush()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.journal"


@pytest.fixture
def written(path) -> bytes:
    with closing(JournalFile.open(path, False)) as journal:
        write_some(journal)
    data: bytes = path.read_bytes()
    assert data.count(b"\n") == 10
    return data


SAID = ("runs", "exit_code", "ok", "not_ok", "seconds", "unfinished")


def said(data: bytes) -> dict[str, Any]:
    return {name: value for name, value in vars(read_journal(data)).items() if name in SAID}


def whole_lines(data: bytes, end: int) -> bytes:
    """What of the data are whole lines, up to a place."""
    return data[: data.rfind(b"\n", 0, end) + 1]


# Reading.


def test_what_was_written_is_read(written):
    recorded = read_journal(written)
    [run] = recorded.runs
    assert run[:5] == ("run-1", boot_id(), os.getpid(), process_start_time(os.getpid()), "hash-1")
    assert abs(time.time() - time.mktime(time.strptime(run.time, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < LIMIT
    assert recorded.ok == {"a": ("key-a", "", 1.5), "é\n": ("key-c", "", 0.25)}
    assert recorded.seconds == {"a": 1.5, "é\n": 0.25}
    assert recorded.unfinished == {"b": ("b", "key-b", 2, 11, 1001, run)}
    assert recorded.exit_code == 1
    assert (recorded.length, recorded.damaged) == (len(written), 0)


def test_nothing_is_read_from_nothing():
    recorded = read_journal(b"")
    assert (recorded.runs, recorded.ok, recorded.unfinished, recorded.length, recorded.damaged) == ([], {}, {}, 0, 0)


def test_journal_cut_anywhere_gives_the_whole_records_before_the_cut(written):
    first = written.index(b"\n") + 1
    for cut in range(len(written)):
        data = written[:cut]
        whole = whole_lines(data, cut)
        try:
            recorded = read_journal(data)
        except JournalError:
            # Too little to be told from some other file.
            assert 0 < cut < 30
            continue
        assert said(data) == said(whole)
        assert (recorded.length, recorded.damaged) == (len(whole), cut - len(whole))
        assert bool(recorded.runs) == (cut >= first)


def test_no_flipped_bit_gives_a_record_that_was_not_written(written):
    first = written.index(b"\n") + 1
    for place in range(len(written)):
        whole = whole_lines(written, place)
        before = said(whole)
        for bit in range(8):
            data = bytearray(written)
            data[place] ^= 1 << bit
            if place < first:
                with pytest.raises(JournalError):
                    read_journal(bytes(data))
                continue
            recorded = read_journal(bytes(data))
            assert recorded.length == len(whole), (place, bit)
            assert said(bytes(data)) == before


@given(st.binary(max_size=200), st.data())
def test_bytes_put_anywhere_give_no_record_and_no_other_error(rest, data):
    records = [
        {"record": "run", "format": 1, "id": "r", "boot": "", "pid": 1, "pid_start": None, "input": "", "time": ""},
        {"record": "start", "name": "a", "key": "k", "attempt": 1, "pid": None, "ticks": None},
    ]
    good = b"".join(map(line_of, records))
    place = data.draw(st.integers(len(line_of(records[0])), len(good)))
    changed = good[:place] + rest + good[place:]
    whole = whole_lines(good, place)
    recorded = read_journal(changed)
    assert recorded.length in (len(whole), len(good))
    assert said(changed) == said(good[: recorded.length])
    assert recorded.length + recorded.damaged == len(changed)


@pytest.mark.parametrize(
    "line",
    [
        line_of({"record": "end", "name": "x", "key": "k", "attempt": 1, "status": "ok", "reason": ""}),
        line_of({"record": "end", "name": 1, "key": "k", "attempt": 1, "status": "ok", "reason": "", "seconds": 1}),
        line_of({"record": "start", "name": "x", "key": "k", "attempt": 1, "ticks": None}),
        line_of({"record": "run", "format": 1}),
        line_of({"name": "x"}),
        line_of({"record": 1}),
        line_of(["run"]),
        line_of(None),
        line_of(None, b"{"),
        line_of(None, b"[" * 100_000),
        line_of(None, b"\xff"),
        line_of(None, b""),
        b"\n",
        b"\0" * 4096,
    ],
)
def test_reading_stops_at_what_no_fastrun_wrote(written, line):
    good = line_of({"record": "start", "name": "later", "key": "k", "attempt": 1, "pid": None, "ticks": None})
    recorded = read_journal(written + line + good)
    assert (recorded.length, recorded.damaged) == (len(written), len(line + good))
    assert said(written + line + good) == said(written)


def test_unknown_kinds_and_fields_are_passed_over(written):
    extra = {"record": "skip", "name": "d", "reason": "b", "new": [1]}
    data = written + line_of({"record": "new", "name": "a"}) + line_of(extra)
    assert said(data) == said(written)
    assert read_journal(data).length == len(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x", "not a journal of fastrun"),
        (b'{"tasks": []}\n', "not a journal of fastrun"),
        (b"\0" * 100, "not a journal of fastrun"),
        (line_of({"record": "end"}), "not a journal of fastrun"),
        (line_of(None, b'{"record":"run","format":1}'), "the first line of the journal is damaged"),
        (line_of(None, b'{"record":"run","record":"skip","name":"","cause":""}'), "the first line of the journal"),
        (line_of({"record": "run", "format": 2}), "a journal in format 2, which fastrun"),
    ],
)
def test_something_else_is_no_journal(data, message):
    with pytest.raises(JournalError, match=message):
        read_journal(data)


def test_a_run_in_another_format_is_an_error_not_damage(written):
    with pytest.raises(JournalError, match="format 2"):
        read_journal(written + line_of({"record": "run", "format": 2}))


def test_task_that_was_started_again_is_not_ok_until_it_is_again(path, written):
    with closing(JournalFile.open(path, True)) as journal:
        journal.append(run_record("run-2", "hash-2"))
        journal.append(start_record("a", "key-a2", 1, 20, 2000))
    recorded = read_journal(path.read_bytes())
    assert [run.id for run in recorded.runs] == ["run-1", "run-2"]
    assert recorded.exit_code is None
    assert set(recorded.ok) == {"é\n"}
    assert recorded.seconds["a"] == 1.5
    assert {name: start.run.id for name, start in recorded.unfinished.items()} == {"a": "run-2", "b": "run-1"}
    with closing(JournalFile.open(path, True)) as journal:
        journal.append(run_record("run-3", "hash-2"))
        journal.append(start_record("a", "key-a2", 1, 30, 3000))
        journal.append(end_record("a", "key-a2", 1, OK, 4.0))
    recorded = read_journal(path.read_bytes())
    assert recorded.ok["a"] == ("key-a2", "", 4.0)
    assert set(recorded.unfinished) == {"b"}


def test_task_that_is_to_run_again_is_not_ok(path, written):
    with closing(JournalFile.open(path, True)) as journal:
        journal.append(run_record("run-2", "hash-2"))
        journal.append(redo_record("a"))
    recorded = read_journal(path.read_bytes())
    assert set(recorded.ok) == {"é\n"}
    assert recorded.seconds["a"] == 1.5


def test_how_a_task_ended_that_is_not_ok_is_known_until_it_is(path, written):
    assert read_journal(written).not_ok == {"b": "failed", "d": "skipped"}
    with closing(JournalFile.open(path, True)) as journal:
        journal.append(run_record("run-2", "hash-2"))
        journal.append(start_record("b", "k", 1))
        journal.append(end_record("b", "k", 1, OK, 1.0))
    assert read_journal(path.read_bytes()).not_ok == {"d": "skipped"}


def test_end_of_an_earlier_attempt_does_not_end_a_later_one(path):
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("r", "h"))
        journal.append(start_record("a", "key", 1))
        journal.append(start_record("a", "key", 2))
        journal.append(end_record("a", "key", 1, FAILED, 1.0))
    assert read_journal(path.read_bytes()).unfinished["a"].attempt == 2


names = st.text(max_size=6) | st.sampled_from(["\ud800", "\\ud800", '"\n\0', "😀"])


@given(names, names)
def test_any_name_is_read_as_it_was_written(tmp_path_factory, name, reason):
    path = tmp_path_factory.mktemp("names") / "run.journal"
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("r", "h"))
        journal.append(start_record(name, "key", 1))
        journal.append(end_record(name, "key", 1, Outcome(Status.OK, reason), 1.0))
    assert read_journal(path.read_bytes()).ok == {name: ("key", reason, 1.0)}


# Keys.


def keys_of(*tasks: Task) -> dict[str, str]:
    """Keys by name."""
    graph = build(Document(Source("tasks"), list(tasks), range(len(tasks)), [], [], {}, []))
    return {task.name: key for task, key in zip(tasks, task_keys(graph), strict=True)}


# A value of each field that is not the one of ``b`` below. A field that is not part of what a task does is not here.
OTHER: dict[str, Any] = {
    "name": "B",
    "type": "eval",
    "arguments": "false",
    "dependencies": [],
    "cwd": "other",
    "env": {"X": "2"},
    "detach": True,
}

# When, where, how often and how long a task may run is no part of what it does, nor what is said of it beside its name.
IGNORED: dict[str, Any] = {
    "timeout": 5.0,
    "retries": 2,
    "retry_delay": 0.5,
    "when": "always",
    "allow_failure": True,
    "pool": "p",
    "description": "what it is for",
    "tags": ["t"],
    "where": "cluster",
    "resources": {"GPU": 1},
}


def test_every_field_of_a_task_is_part_of_its_key_or_is_known_not_to_be():
    assert set(Task._fields) == {*OTHER, *IGNORED}
    task = Task("a", "exec", "true")
    assert keys_of(task) == keys_of(task._replace(**IGNORED))


@pytest.mark.parametrize("field", OTHER)
def test_a_change_changes_the_key_of_its_task_and_of_those_behind(field):
    def keys(b: Task) -> dict[str, str]:
        tasks = (
            Task("a", "exec", "true"),
            b,
            Task("c", "exec", "true", [b.name]),
            Task("d", "exec", "true", ["c", "a"]),
            Task("e", "exec", "true", ["a"]),
            Task("f", "exec", "true"),
        )
        return {name.lower(): key for name, key in keys_of(*tasks).items()}

    b = Task("b", "exec", "true", ["a"], "here", {"X": "1"})
    before, after = keys(b), keys(b._replace(**{field: OTHER[field]}))
    assert {name for name in before if before[name] != after[name]} == {"b", "c", "d"}
    assert len(set(before.values())) == 6


@given(documents(), st.randoms())
def test_positions_and_the_order_of_dependencies_do_not_matter(shuffled, random):
    def keys() -> dict[str, str]:
        found = task_keys(build(read(shuffled, "document")))
        return {task["name"]: key for task, key in zip(shuffled["tasks"], found, strict=True)}

    before = keys()
    random.shuffle(shuffled["tasks"])
    for task in shuffled["tasks"]:
        task["dependencies"] *= 2
        random.shuffle(task["dependencies"])
    assert keys() == before


@given(graphs())
def test_every_task_has_a_key_of_its_own(edges):
    keys = keys_of(*(Task(str(i), "exec", "", list(map(str, found))) for i, found in enumerate(edges)))
    assert len(set(keys.values())) == len(edges)
    assert all(len(key) == 32 for key in keys.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Task("a", "exec", "b"), Task("ab", "exec", "")),
        (Task("a', 'exec", "exec", ""), Task("a", "exec', 'exec", "")),
        (Task("a", "exec", "", (), None), Task("a", "exec", "", (), "")),
        (Task("a", "exec", "", (), None), Task("a", "exec", "", (), "None")),
        (Task("a", "exec", "", (), None, {"X": "1', 'Y"}), Task("a", "exec", "", (), None, {"X": "1", "Y": ""})),
        (Task("a", "exec", "", (), None, {"XY": "Z"}), Task("a", "exec", "", (), None, {"X": "YZ"})),
        (Task("\ud800", "exec", ""), Task("\\ud800", "exec", "")),
        (Task("\ud83d\ude00", "exec", ""), Task("😀", "exec", "")),
        (Task("é", "exec", ""), Task("e\u0301", "exec", "")),
    ],
)
def test_no_two_tasks_look_alike(one, other):
    assert list(keys_of(one).values()) != list(keys_of(other).values())


def test_an_environment_that_adds_nothing_and_its_order_do_not_matter():
    def key(env: dict[str, str] | None) -> str:
        return keys_of(Task("a", "exec", "", (), None, env))["a"]

    assert key(None) == key({})
    assert key({"X": "1", "Y": "2"}) == key({"Y": "2", "X": "1"})


def test_keys_stay_what_they_are():
    # Changed by mistake, every journal would be worth nothing.
    tasks = (Task("é", "exec", "true", (), "sub", {"X": "1"}), Task("b", "eval", "pass", ["é"]))
    assert list(keys_of(*tasks).values()) == ["8764f3e7926ffa76bc8ce8866f610078", "546486100d06ef07cb6554f706f0b0c3"]


def test_a_chain_of_a_hundred_thousand_has_keys():
    size = 100_000
    tasks = [Task("0", "exec", ""), *(Task(str(i), "exec", "", [str(i - 1)]) for i in range(1, size))]
    # The last first, so that the document's order is of no help.
    assert len(set(keys_of(*reversed(tasks)).values())) == size


# Opening.


def test_new_file_is_its_owners_alone(path):
    before = os.umask(0)
    try:
        JournalFile.open(path, False).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_environment_values_are_not_in_the_file(path):
    task = Task("a", "exec", "arguments-too", (), None, {"TOKEN": "swordfish"})
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("r", "h"))
        journal.append(start_record("a", keys_of(task)["a"], 1, os.getpid(), 1))
    data = path.read_bytes()
    assert keys_of(task)["a"].encode() in data
    assert b"swordfish" not in data
    assert b"arguments-too" not in data


def test_file_with_a_run_is_only_gone_on_with_when_asked_to(path, written):
    with pytest.raises(JournalError, match=r"run\.journal: holds a run already; --resume goes on with it"):
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
        assert journal.notes == [f"{path}: {many} damaged bytes behind the last whole record cut off"]
        assert journal.recorded.exit_code is None
        assert path.read_bytes() == whole
        journal.append(start_record("z", "key-z", 1))
    assert read_journal(path.read_bytes()).damaged == 0
    assert "z" in read_journal(path.read_bytes()).unfinished


@pytest.mark.parametrize("resume", [False, True])
def test_torn_first_record_is_no_run(path, written, resume):
    path.write_bytes(written[:60])
    with closing(JournalFile.open(path, resume)) as journal:
        assert journal.notes == [f"{path}: 60 damaged bytes behind the last whole record cut off"]
        write_some(journal)
    assert len(read_journal(path.read_bytes()).runs) == 1


# The lock.

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


def test_holder_that_has_not_said_who_it_is_is_not_taken_for_the_last_one(path):
    with holder(path) as process:
        process.kill()
        process.wait()
    with holder(path, "nothing"), pytest.raises(JournalError, match=r"in use by another process$"):
        JournalFile.open(path, True)


def test_closing_gives_up_the_lock_even_while_a_forked_copy_lives(path):
    journal = JournalFile.open(path, False)
    read_end, write_end = os.pipe()
    copy = os.fork()
    if not copy:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)
    journal.close()
    journal.close()
    JournalFile.open(path, False).close()
    os.close(write_end)
    os.close(read_end)
    os.waitpid(copy, 0)


# Writing and syncing.


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


# Processes.


def test_start_time_of_a_process_is_its_own_whatever_its_name():
    code = "import sys; open('/proc/self/comm', 'w').write(') R 1 (2 3'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        before = process_start_time(process.pid)
        process.stdout.readline()
        after = process_start_time(process.pid)
        process.stdin.close()
        process.wait(LIMIT)
    assert before is not None
    assert before == after
    own = process_start_time(os.getpid())
    assert own is not None
    assert own <= before
    with open("/proc/uptime") as file:
        uptime = float(file.read().split()[0])
    assert 0 <= uptime - before / os.sysconf("SC_CLK_TCK") < LIMIT
    assert process_start_time(process.pid) is None


def test_boot_has_an_id_that_stays():
    assert re.fullmatch(r"[0-9a-f-]{36} pid:\[\d+\]", boot_id())
    assert boot_id() == boot_id()


def test_a_process_that_is_there_has_started_before_now():
    now = ticks_now()
    began = process_start_time(os.getpid())
    assert now is not None
    assert began is not None
    assert began <= now
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        later = process_start_time(process.pid)
        assert process.stdin is not None
        process.stdin.close()
    assert later is not None
    assert later >= now - 1


def test_a_run_without_a_journal_does_not_load_it(tmp_path):
    tasks = write_json(tmp_path, document(exec_("a", "true"), eval_("b", "pass")))
    code = (
        f"import sys, fastrun.cli.main; fastrun.cli.main.main([{os.fspath(tasks)!r}]);"
        "sys.exit(bool({'fastrun.journal', 'fastrun.journal.recovery'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environment(), check=True, timeout=LIMIT)

"""Records of the journal: what is read is what was written, or the beginning of it."""

from __future__ import annotations

import os
import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun import Cause, Outcome, Status
from fastrun.journal.file import JournalFile
from fastrun.journal.machine import boot_id, process_start_time
from fastrun.journal.recorded import Success, read_journal
from fastrun.journal.records import JournalError, end_record, redo_record, run_record, start_record
from tests.support.journals import FAILED, OK, line_of, said, whole_lines
from tests.support.processes import LIMIT


def test_records_are_read_as_they_were_written(written):
    recorded = read_journal(written)
    [run] = recorded.runs
    assert run[:5] == ("run-1", boot_id(), os.getpid(), process_start_time(os.getpid()), "hash-1")
    assert abs(time.time() - time.mktime(time.strptime(run.time, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < LIMIT
    assert recorded.ok == {"a": Success("key-a", "", 1.5), "é\n": Success("key-c", "", 0.25)}
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
def test_reading_stops_at_a_line_that_no_fastrun_wrote(written, line):
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
        (line_of(None, b'{"record":"run","format":1}'), "its first line is damaged"),
        (line_of(None, b'{"record":"run","record":"skip","name":"","cause":""}'), "its first line is damaged"),
        (line_of({"record": "run", "format": 2}), "it has format 2, and fastrun"),
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
        journal.append(end_record("a", "key-a2", OK, 4.0))
    recorded = read_journal(path.read_bytes())
    assert recorded.ok["a"] == Success("key-a2", "", 4.0)
    assert set(recorded.unfinished) == {"b"}


def test_task_that_is_to_run_again_is_not_ok(path, written):
    with closing(JournalFile.open(path, True)) as journal:
        journal.append(run_record("run-2", "hash-2"))
        journal.append(redo_record("a"))
    recorded = read_journal(path.read_bytes())
    assert set(recorded.ok) == {"é\n"}
    assert recorded.seconds["a"] == 1.5


def test_end_of_a_failed_task_is_known_until_the_task_is_ok(path, written):
    assert read_journal(written).not_ok == {"b": "failed", "d": "skipped"}
    with closing(JournalFile.open(path, True)) as journal:
        journal.append(run_record("run-2", "hash-2"))
        journal.append(start_record("b", "k", 1))
        journal.append(end_record("b", "k", OK, 1.0))
    assert read_journal(path.read_bytes()).not_ok == {"d": "skipped"}


def test_end_of_an_earlier_attempt_does_not_end_a_later_one(path):
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("r", "h"))
        journal.append(start_record("a", "key", 1))
        journal.append(start_record("a", "key", 2))
        journal.append(end_record("a", "key", FAILED, 1.0))
    assert read_journal(path.read_bytes()).unfinished["a"].attempt == 2


names = st.text(max_size=6) | st.sampled_from(["\ud800", "\\ud800", '"\n\0', "😀"])


@given(names, names)
def test_any_name_is_read_as_it_was_written(tmp_path_factory, name, reason):
    path = tmp_path_factory.mktemp("names") / "run.journal"
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("r", "h"))
        journal.append(start_record(name, "key", 1))
        journal.append(end_record(name, "key", Outcome(Status.OK, Cause.EXCEPTION, reason), 1.0))
    assert read_journal(path.read_bytes()).ok == {name: Success("key", reason, 1.0)}


def test_end_record_of_an_unknown_status_is_no_success(tmp_path):
    path = tmp_path / "run.journal"
    with closing(JournalFile.open(path, False)) as file:
        file.append(run_record("r", "h"))
        file.append(end_record("a", "k", OK, 1.0) | {"status": "okay"})
    assert read_journal(path.read_bytes()).ok == {}


def test_a_record_of_files_that_no_fastrun_wrote_leaves_no_versions_behind(path, written):
    """Later records number the versions after those that are in the file."""
    good = {"new": [["a", "1"]], "inputs": [0], "found": [], "outputs": [], "variables": {}, "changed": ""}
    record = {**end_record("a", "key-a", OK, 1.0), "files": good}
    bad = {**record, "files": {**good, "new": [["b", "1"], ["c", "1"]], "inputs": [7]}}
    recorded = read_journal(written + line_of(record) + line_of(bad))
    assert recorded.damaged == len(line_of(bad))
    assert recorded.versions.list == [("a", "1")]


def test_a_task_needs_the_largest_of_its_last_peaks_with_the_same_key():
    def end(key: str, peak: object, status: str = "ok") -> bytes:
        return line_of({**end_record("a", key, OK, 1.0), "status": status, "peak": peak})

    def memory(*lines: bytes) -> dict[str, int]:
        return read_journal(line_of(run_record("r", "h")) + b"".join(lines)).memory

    assert memory(line_of(end_record("a", "k", OK, 1.0))) == {}
    assert memory(end("k", 5), end("k", 9), end("k", 7)) == {"a": 9}
    assert memory(*[end("k", peak) for peak in (9, 1, 2, 3, 4, 5)]) == {"a": 5}
    # What the command was before does not count once it is known as it is.
    assert memory(end("before", 9), end("k", 1)) == {"a": 1}
    # It was killed, and would have needed more.
    assert memory(end("k", 8, "failed")) == {"a": 12}
    assert memory(end("k", None), end("k", "9")) == {}

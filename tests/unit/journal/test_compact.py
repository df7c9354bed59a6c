"""Journals written anew: later runs learn the same from them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.parse import read
from fastrun.journal.compact import compact, is_mostly_history
from fastrun.journal.file import JournalFile
from fastrun.journal.keys import task_keys
from fastrun.journal.recorded import Recorded, read_journal
from fastrun.journal.records import encode, end_record, run_record, start_record
from fastrun.plan.graph import build
from tests.support.journals import OK, line_of

if TYPE_CHECKING:
    from fastrun.journal.recorded import Success

# What fastrun 0.1.0 wrote before tasks could name their files.
EARLIER = Path(__file__).with_name("earlier.journal")

names = st.sampled_from(["a", "b", "c", "\ud800"])
keys = st.sampled_from(["key-1", "key-2"])
attempts = st.integers(1, 2)
seconds = st.floats(0, 1e6)
paths = st.sampled_from(["x", "y", "z/\udcff"])
digests = st.sampled_from(["", "digest-1", "digest-2"])
looks = st.tuples(paths, *[st.integers(0, 2**62)] * 4, digests)

starts = st.builds(
    lambda name, key, attempt, pid: start_record(name, key, attempt, pid, pid),
    names,
    keys,
    attempts,
    st.none() | st.just(7),
)
others = st.one_of(
    st.builds(lambda number: {**run_record(f"run-{number}", "hash"), "pid": number}, st.integers(0, 9)),
    starts,
    starts,
    st.builds(lambda name: {"record": "redo", "name": name}, names),
    st.builds(lambda name: {"record": "skip", "name": name, "reason": "b"}, names),
    st.builds(lambda files: {"record": "seen", "files": files}, st.lists(looks, max_size=4)),
    st.builds(lambda code: {"record": "done", "counts": {}, "exit_code": code}, st.integers(0, 3)),
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Return the text of a journal, with records in any order."""
    records = [run_record("first", "hash")]
    versions = 0
    for _ in range(draw(st.integers(0, 25))):
        if draw(st.booleans()):
            records.append(draw(others))
            continue
        ok = draw(st.booleans())
        record = end_record(draw(names), draw(keys), OK, draw(seconds)) | {"attempt": draw(attempts)}
        if draw(st.booleans()):
            record["peak"] = draw(st.integers(0, 1 << 40))
        if not ok:
            record["status"] = draw(st.sampled_from(["failed", "interrupted"]))
        elif draw(st.booleans()):
            new = draw(st.lists(st.tuples(paths, digests), max_size=3))
            versions += len(new)
            numbers = st.lists(st.integers(0, versions - 1), max_size=3) if versions else st.just([])
            variables = draw(st.dictionaries(st.sampled_from("UV"), st.none() | digests))
            changed = draw(st.sampled_from(["", "x"]))
            fields = {field: draw(numbers) for field in ("inputs", "found", "outputs")}
            record["files"] = {"new": new, **fields, "variables": variables, "changed": changed}
        records.append(record)
    return b"".join(map(encode, records))


def used(recorded: Recorded) -> dict[str, Any]:
    """Return all that a later run uses of what a journal says."""

    def success(found: Success) -> tuple[Any, ...]:
        facts = found.facts
        if facts is None:
            return found
        return (*found[:3], *map(recorded.versions.of, facts[:3]), facts.variables, facts.changed)

    referred = {
        path
        for found in recorded.ok.values()
        for numbers in (found.facts or ((), (), ()))[:3]
        for path, _ in recorded.versions.of(numbers)
    }
    said = {name: getattr(recorded, name) for name in ("exit_code", "not_ok", "outdated", "durations", "unfinished")}
    return said | {
        "memory": recorded.memory,
        "run": recorded.runs[-1],
        "ok": {name: success(found) for name, found in recorded.ok.items()},
        "seconds": recorded.seconds,
        "seen": {path: looks for path, looks in recorded.seen.items() if path in referred},
    }


@given(texts())
def test_journal_written_anew_says_the_same_to_later_runs(text):
    recorded = read_journal(text)
    again = read_journal(compact(recorded))
    assert used(again) == used(recorded)
    assert again.damaged == 0
    assert compact(again) == compact(recorded)


@given(texts(), texts())
def test_runs_after_that_are_recorded_as_before(before, after):
    recorded = read_journal(compact(read_journal(before)))
    if any(found.facts is not None for found in read_journal(after).ok.values()):
        # Its numbers of versions are not those of this journal.
        return
    assert used(read_journal(compact(recorded) + after)) == used(read_journal(before + after))


def test_versions_and_looks_of_files_that_no_success_refers_to_are_left_out():
    records = [run_record("r", "h")]
    for digest in ("old", "new"):
        files = {"new": [("a.c", digest), (f"{digest}.h", "1")], "inputs": [0, 1], "found": [], "outputs": []}
        if digest == "new":
            files["inputs"] = [2, 3]
        records.append(end_record("a", "k", OK, 1.0) | {"files": files | {"variables": {}, "changed": ""}})
    records.append({"record": "seen", "files": [(path, 1, 2, 3, 4, "1") for path in ("a.c", "old.h", "new.h")]})
    again = read_journal(compact(read_journal(b"".join(map(line_of, records)))))
    assert again.versions.list == [("a.c", "new"), ("new.h", "1")]
    assert set(again.seen) == {"a.c", "new.h"}


def test_last_five_durations_are_kept_and_their_median_is_expected():
    ends = [end_record("a", "k", OK, float(number)) for number in (9, 1, 7, 2, 3, 8)]
    text = b"".join(map(line_of, [run_record("r", "h"), *ends]))
    recorded = read_journal(compact(read_journal(text)))
    assert recorded.durations == {"a": [1.0, 7.0, 2.0, 3.0, 8.0]}
    assert recorded.seconds == {"a": 3.0}


def test_many_tasks_are_joined_in_few_records():
    ends = [end_record(f"task{number}", "k", OK, 1.0) for number in range(10_000)]
    text = b"".join(map(line_of, [run_record("r", "h"), *ends]))
    short = compact(read_journal(text))
    assert short.count(b"\n") == 4
    assert len(read_journal(short).ok) == 10_000


@pytest.mark.parametrize(("runs", "expected"), [(1, False), (240, False), (260, True)])
def test_journal_is_mostly_history_after_many_runs(runs, expected):
    records = [run_record("r", "h"), end_record("a", "k", OK, 1.0)] * runs
    assert is_mostly_history(read_journal(b"".join(map(line_of, records)))) is expected


def test_starts_of_many_tasks_that_have_ended_are_history():
    pairs = [(start_record(f"t{n}", "k", 1), end_record(f"t{n}", "k", OK, 1.0)) for n in range(300)]
    records = [run_record("r", "h"), *[record for pair in pairs for record in pair]]
    recorded = read_journal(b"".join(map(line_of, records)))
    assert is_mostly_history(recorded)
    assert not is_mostly_history(read_journal(compact(recorded)))


def test_looks_of_files_at_earlier_times_are_history():
    files = [(f"file{number}", 1, 2, 3, 4, "digest") for number in range(300)]
    seen = line_of({"record": "seen", "files": files})
    text = line_of(run_record("r", "h"))
    assert not is_mostly_history(read_journal(text + seen * 2))
    assert is_mostly_history(read_journal(text + seen * 3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ok": [["a", "k", "", [1.0]]]},
        {"ok": [["a", "k", "", [], None]]},
        {"ok": [["a", "k", "", [1.0], [[1], [], [], {}, ""]]]},
        {"ok": [["a", "k", "", [1.0], [[0], [], [-1], {}, ""]]]},
        {"ok": [["a", "k", "", [1.0], [[0], []]]]},
        {"new": [["x"]]},
        {"not_ok": []},
        {"tasks": None},
        {"peaks": []},
        {"peaks": {"a": ["k"]}},
        {"peaks": {"a": ["k", [None]]}},
    ],
)
def test_kept_record_of_a_wrong_shape_is_damage(wrong):
    good = {"tasks": 1, "new": [["x", "1"]], "ok": [], "not_ok": {}, "outdated": [], "durations": {}, "peaks": {}}
    run = line_of(run_record("r", "h"))
    line = line_of({"record": "kept", **good, **wrong})
    recorded = read_journal(run + line)
    assert (recorded.length, recorded.damaged) == (len(run), len(line))
    assert (recorded.ok, recorded.durations) == ({}, {})
    assert read_journal(run + line_of({"record": "kept", **good})).damaged == 0


def test_journal_from_before_is_read_and_gone_on_with(path):
    path.write_bytes(EARLIER.read_bytes())
    with closing(JournalFile.open(path, True)) as journal:
        recorded = journal.recorded
    assert recorded.damaged == 0
    assert recorded.not_ok == {"b": "failed", "c": "skipped"}
    assert recorded.seconds == {"a": 0.000839}
    assert recorded.exit_code == 1
    task = {"name": "a", "type": "exec", "arguments": "true"}
    assert [recorded.ok["a"].key] == task_keys(build(read({"tasks": [task]}, "document")))
    assert used(read_journal(compact(recorded))) == used(recorded)

"""What a run writes into its journal while it goes on."""

from __future__ import annotations

import itertools

import orjson

from fastrun.document.task import Task
from fastrun.executors.peaks import PEAK_UNIT, last_own_peak
from fastrun.journal.file import JournalFile
from fastrun.journal.recorded import read_journal
from fastrun.journal.recording import RunJournal
from fastrun.outcome import FIRST_START, Cause, Outcome, Start, Status, Usage
from tests.support.journals import OK


def test_a_duration_is_the_time_from_start_to_end(tmp_path, monkeypatch):
    now = 5.0
    monkeypatch.setattr("fastrun.journal.recording.time.monotonic", lambda: now)
    path = tmp_path / "run.journal"
    tasks = [Task("a", "exec", "true"), Task("b", "eval", "x = 1"), Task("c", "eval", "y = 1")]
    file = JournalFile.open(path, False)
    journal = RunJournal(file, tasks, ["k", "l", "m"])
    journal.begin("r", [])
    journal.task_started(0, Start(pid=1))
    now = 6.0
    journal.task_started(1, FIRST_START)
    now = 8.5
    journal.task_ended(1, OK)
    journal.task_ended(0, OK)
    # News that comes late.
    journal.task_started(2, Start(ago=3.0))
    journal.task_ended(2, OK._replace(ago=1.0))
    file.close()
    assert read_journal(path.read_bytes()).seconds == {"a": 3.5, "b": 2.5, "c": 2.0}


def test_an_attempt_that_could_not_start_took_no_time(tmp_path, monkeypatch):
    clock = itertools.count(5.0)
    monkeypatch.setattr("fastrun.journal.recording.time.monotonic", lambda: next(clock))
    path = tmp_path / "run.journal"
    file = JournalFile.open(path, False)
    journal = RunJournal(file, [Task("a", "exec", "true")], ["k"])
    journal.begin("r", [])
    journal.task_ended(0, Outcome(Status.FAILED, Cause.CANNOT_START))
    file.close()
    record = orjson.loads(path.read_bytes().splitlines()[-1].split(b" ", 1)[1])
    assert (record["record"], record["seconds"]) == ("end", 0)


def test_the_peak_of_a_process_that_shows_what_it_needs_is_recorded(tmp_path):
    path = tmp_path / "run.journal"
    file = JournalFile.open(path, False)
    journal = RunJournal(file, [Task("a", "exec", "true")], ["k"])
    journal.begin("r", [])
    small, large = Usage(0.1, None), Usage(0.1, 1 << 40)
    killed = Outcome(Status.FAILED, Cause.OUT_OF_MEMORY, usage=large)
    for outcome in (OK, OK._replace(usage=large), OK._replace(usage=small), killed, killed._replace(cause=Cause.EXIT)):
        journal.task_ended(0, outcome)
    file.close()
    records = [orjson.loads(line.split(b" ", 1)[1]) for line in path.read_bytes().splitlines()[1:]]
    peaks = [record.get("peak") for record in records]
    assert peaks[:2] + peaks[3:] == [None, 1 << 40, 1 << 40, None]
    # Less than the memory of this process is not known.
    assert peaks[2] == last_own_peak() * PEAK_UNIT

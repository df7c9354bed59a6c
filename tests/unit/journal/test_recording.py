"""What a run writes into its journal while it goes on."""

from __future__ import annotations

import itertools

import orjson

from fastrun.document.task import Task
from fastrun.journal.file import JournalFile
from fastrun.journal.recording import RunJournal
from fastrun.journal.records import (
    read_journal,
)
from fastrun.outcome import FIRST_START, Cause, Outcome, Start, Status
from tests.support.journals import OK


def test_a_duration_is_the_time_from_start_to_end(tmp_path, monkeypatch):
    now = 5.0
    monkeypatch.setattr("fastrun.journal.recording.time.monotonic", lambda: now)
    path = tmp_path / "run.journal"
    tasks = [Task("a", "exec", "true"), Task("b", "eval", "x = 1")]
    file = JournalFile.open(path, False)
    journal = RunJournal(file, tasks, ["k", "l"])
    journal.begin("r", [])
    journal.task_started(0, Start(pid=1))
    now = 6.0
    journal.task_started(1, FIRST_START)
    now = 8.5
    journal.task_ended(1, OK)
    journal.task_ended(0, OK)
    file.close()
    assert read_journal(path.read_bytes()).seconds == {"a": 3.5, "b": 2.5}


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

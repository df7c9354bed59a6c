"""Journals for tests: lines, records, and what is read from them."""

from __future__ import annotations

import fcntl
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from fastrun import Cause, Outcome, Status
from fastrun.journal.file import JournalFile
from fastrun.journal.recorded import read_journal
from fastrun.journal.records import done_record, end_record, run_record, skip_record, start_record

OK = Outcome(Status.OK)
FAILED = Outcome(Status.FAILED, Cause.EXIT, 3)


def wait_for_lock(path: str | Path) -> None:
    """Wait until nobody has a journal, whose run was killed.

    A child that was about to become a command has its lock until then, and may have given up the run's output before.
    """
    with suppress(FileNotFoundError), open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def line_of(record: Any, data: bytes | None = None) -> bytes:
    """Return a line with a checksum that is right."""
    data = orjson.dumps(record) if data is None else data
    return b"%08x %b\n" % (crc32(data), data)


def write_some(journal: JournalFile) -> None:
    """Write ten records: a run with a task of each end."""
    journal.append(run_record("run-1", "hash-1"))
    journal.append(start_record("a", "key-a", 1, 10, 1000))
    journal.append(start_record("b", "key-b", 1))
    journal.append(end_record("a", "key-a", OK, 1.5))
    journal.flush()
    journal.append(end_record("b", "key-b", FAILED, 2))
    journal.append(start_record("b", "key-b", 2, 11, 1001))
    journal.append(start_record("é\n", "key-c", 1, 12, None))
    journal.append(end_record("é\n", "key-c", OK, 0.25))
    journal.append(skip_record("d", "b"))
    journal.append(done_record({Status.OK: 2, Status.FAILED: 1}, 1))
    journal.flush()


# Fields of ``Recorded`` that are about tasks, without those about the file.
SAID = ("runs", "exit_code", "ok", "not_ok", "durations", "unfinished")


def said(data: bytes) -> dict[str, Any]:
    """Return what is read from the data."""
    recorded = read_journal(data)
    return {name: getattr(recorded, name) for name in SAID}


def whole_lines(data: bytes, end: int) -> bytes:
    """Return the whole lines of the data up to a position."""
    return data[: data.rfind(b"\n", 0, end) + 1]


def records_of_last_run(data: bytes) -> list[dict[str, Any]]:
    """Return the records behind the last that a run began with. A torn line at the end is left out."""
    records = [orjson.loads(line[9:]) for line in whole_lines(data, len(data)).splitlines()]
    last = max((position for position, record in enumerate(records) if record["record"] == "run"), default=0)
    return records[last + 1 :]

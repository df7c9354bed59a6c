"""What is written in a journal, and what is read of it.

Knows records, lines and checksums; no file, and not what is made of what is recorded.

A record is a line: the CRC-32 of the JSON that follows, as eight hexadecimal digits, a space, the JSON. The first is
always a ``run``; a reader passes over kinds that it does not know::

    run    format, fastrun, id, boot, pid, pid_start, input, time
    redo   name
    start  name, key, attempt, pid, ticks         (null for snippets)
    end    name, key, attempt, status, reason, seconds
    skip   name, reason
    done   counts, exit_code

What a task does, its environment above all, is in it only as a part of the hash that is its key.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from fastrun import __version__
from fastrun.collector import collector_off
from fastrun.journal.machine import boot_id, process_start_time
from fastrun.outcome import Outcome, Status

FORMAT = 1

# How the JSON of a journal's first record begins, and the length of the checksum and the space before it.
_HEAD = b'{"record":"run",'
_SUM = 9
HEAD_LENGTH = _SUM + len(_HEAD)

# What the fields of each kind of record may hold; more of them are no harm.
_NUMBER_OR_NULL = (int, NoneType)
_SHAPES: dict[str, tuple[tuple[str, type | tuple[type, ...]], ...]] = {
    "run": (
        ("id", str),
        ("boot", str),
        ("pid", int),
        ("pid_start", _NUMBER_OR_NULL),
        ("input", str),
        ("time", str),
    ),
    "start": (("name", str), ("key", str), ("attempt", int), ("pid", _NUMBER_OR_NULL), ("ticks", _NUMBER_OR_NULL)),
    "end": (
        ("name", str),
        ("key", str),
        ("attempt", int),
        ("status", str),
        ("reason", str),
        ("seconds", (float, int)),
    ),
    "redo": (("name", str),),
    "skip": (("name", str), ("reason", str)),
    "done": (("counts", dict), ("exit_code", int)),
}


class JournalError(ValueError):
    """A file that cannot be the journal of this run, in one line. The file is as it was."""


class RunRecord(NamedTuple):
    """A run of which there are records.

    ``id``: the mark of its processes. ``boot``: see ``boot_id``. ``pid``, ``pid_start``: of the runner, see
    ``process_start_time``. ``input``: a hash of the document. ``time``: when it began, RFC 3339 in UTC.
    """

    id: str
    boot: str
    pid: int
    pid_start: int | None
    input: str
    time: str


class Success(NamedTuple):
    """A recorded end of a task that is ok. ``seconds``: how long it ran."""

    key: str
    reason: str
    seconds: float


class Unfinished(NamedTuple):
    """A recorded start without an end: whether the task runs, or how it ended, is unknown.

    ``pid``: of its process, None for a snippet. ``ticks``: when that was recorded; a process of the same number that
    started later, see ``process_start_time``, is another. ``run``: the run that started it.
    """

    name: str
    key: str
    attempt: int
    pid: int | None
    ticks: int | None
    run: RunRecord


class Recorded:
    """What a journal says.

    ``runs``: in their order. ``exit_code``: of the last run, None if that has no end.
    ``ok``: by name, for tasks that are ok and were not started again since, nor meant to be: whatever a later start was
    about to do, it may have undone what the success had made.
    ``not_ok``: by name, how the task ended in the last run that it ended in, where that is not ok.
    ``outdated``: the names of tasks that were ok, and were to run again since.
    ``seconds``: by name, how long the task ran when it was last ok.
    ``unfinished``: by name, the newest start where that has no end. Older starts of the same task are not kept: who
    starts it again has ended what was left of it.
    ``length``: bytes up to the end of the last good record. ``damaged``: bytes behind them.
    """

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.exit_code: int | None = None
        self.ok: dict[str, Success] = {}
        self.not_ok: dict[str, str] = {}
        self.outdated: set[str] = set()
        self.seconds: dict[str, float] = {}
        self.unfinished: dict[str, Unfinished] = {}
        self.length = 0
        self.damaged = 0
        self._kinds: dict[str, Callable[[dict[str, Any]], None]] = {
            "run": self._run,
            "redo": self._redo,
            "start": self._start,
            "end": self._end,
            "skip": self._skip,
            "done": self._done,
        }

    def add(self, record: Any) -> bool:
        """Take in one record. Returns False for one that no fastrun has written.

        Raises JournalError for a run in another format.
        """
        if not isinstance(record, dict):
            return False
        kind = record.get("record")
        if not isinstance(kind, str) or not (self.runs or kind == "run"):
            return False
        if kind == "run" and record.get("format") != FORMAT:
            raise JournalError(f"a journal in format {record.get('format')}, which fastrun {__version__} does not know")
        # Not a match statement, which takes ten times as long, and there are two records for each of a million tasks.
        get = record.get
        for field, types in _SHAPES.get(kind, ()):
            if not isinstance(get(field, ...), types):
                return False
        apply = self._kinds.get(kind)
        if apply is not None:
            apply(record)
        return True

    def _run(self, record: dict[str, Any]) -> None:
        self.runs.append(RunRecord(*[record[field] for field in RunRecord._fields]))
        self.exit_code = None

    def _redo(self, record: dict[str, Any]) -> None:
        if self.ok.pop(record["name"], None) is not None:
            self.outdated.add(record["name"])

    def _skip(self, record: dict[str, Any]) -> None:
        self.not_ok[record["name"]] = Status.SKIPPED.label

    def _done(self, record: dict[str, Any]) -> None:
        self.exit_code = record["exit_code"]

    def _start(self, record: dict[str, Any]) -> None:
        name = record["name"]
        self.ok.pop(name, None)
        self.unfinished[name] = Unfinished(
            name, record["key"], record["attempt"], record["pid"], record["ticks"], self.runs[-1]
        )

    def _end(self, record: dict[str, Any]) -> None:
        name = record["name"]
        self.outdated.discard(name)
        started = self.unfinished.get(name)
        if started is not None and started.attempt == record["attempt"]:
            del self.unfinished[name]
        if record["status"] == Status.OK.label:
            self.ok[name] = Success(record["key"], record["reason"], record["seconds"])
            self.seconds[name] = record["seconds"]
            self.not_ok.pop(name, None)
        else:
            self.not_ok[name] = record["status"]


def read_journal(data: bytes) -> Recorded:
    """What the text of a journal says, up to its first line that is torn or damaged.

    Raises JournalError for what is no journal, one in a format of another version, and one of which the first line is
    damaged: nothing tells it from some other file. Only when all there is is the beginning of that line, it was torn.
    """
    check_head(data)
    recorded = Recorded()
    start = 0
    with collector_off():
        while (end := data.find(b"\n", start)) >= 0:
            if not recorded.add(_decode(data[start:end])):
                break
            start = end + 1
    if not start and end >= 0:
        raise JournalError("the first line of the journal is damaged, and with it what the rest belongs to")
    recorded.length = start
    recorded.damaged = len(data) - start
    return recorded


def run_record(run: str, document: str) -> dict[str, Any]:
    """That a run begins, by this process and now. ``run``: its id. ``document``: a hash of what is run."""
    pid = os.getpid()
    return {
        "record": "run",
        "format": FORMAT,
        "fastrun": __version__,
        "id": run,
        "boot": boot_id(),
        "pid": pid,
        "pid_start": process_start_time(pid),
        "input": document,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def redo_record(name: str) -> dict[str, Any]:
    """That a task is to run again, whatever was recorded of it."""
    return {"record": "redo", "name": name}


def start_record(name: str, key: str, attempt: int, pid: int | None = None, ticks: int | None = None) -> dict[str, Any]:
    """That a task has started. ``pid``, ``ticks``: see ``Unfinished``."""
    return {"record": "start", "name": name, "key": key, "attempt": attempt, "pid": pid, "ticks": ticks}


def end_record(name: str, key: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """How an attempt at a task ended. ``seconds``: how long it ran."""
    return {
        "record": "end",
        "name": name,
        "key": key,
        "attempt": outcome.attempt,
        "status": outcome.status.label,
        "reason": outcome.reason,
        "seconds": seconds,
    }


def skip_record(name: str, reason: str) -> dict[str, Any]:
    """That a task was skipped. ``reason``: as the report has it."""
    return {"record": "skip", "name": name, "reason": reason}


def done_record(counts: Mapping[Status, int], exit_code: int) -> dict[str, Any]:
    """That the run came to its end. ``counts``: tasks by status."""
    words = {status.label: count for status, count in counts.items()}
    return {"record": "done", "counts": words, "exit_code": exit_code}


def encode(record: dict[str, Any]) -> bytes:
    """The line of a record: anything that JSON can hold whose first key is ``"record"``."""
    try:
        data = orjson.dumps(record)
    except TypeError:
        # A lone surrogate, which only a name that came from Python can hold.
        import json

        data = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %b\n" % (crc32(data), data)


def _decode(line: bytes) -> Any:
    """The record in a line without its end, or None if there is none."""
    data = line[_SUM:]
    # The text is compared, not its number: another spelling would be a flipped bit too.
    if line[:_SUM] != b"%08x " % crc32(data):
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        import json

        with suppress(ValueError, RecursionError):
            return json.loads(data)
        return None


def check_head(data: bytes) -> None:
    """Raise JournalError unless a text begins as all journals do, or is empty."""
    if data and data[_SUM : _SUM + len(_HEAD)] != _HEAD:
        raise JournalError("not a journal of fastrun")

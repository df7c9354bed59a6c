"""The records of a journal, as lines.

Knows records, lines and checksums. Does not know files, nor what the records say together.

A record is a line: the CRC-32 of the JSON that follows, in eight hexadecimal digits, a space, the JSON. The first
record is always a ``run``. A reader skips kinds that it does not know::

    run    format, fastrun, id, boot, pid, pid_start, input, time
    redo   name
    start  name, key, attempt, pid, ticks         (null for snippets)
    end    name, key, attempt, status, reason, seconds; peak of a process that is ok or was killed for want of memory;
           files of a task that names its files and is ok
    skip   name, reason
    seen   files
    done   counts, exit_code
    kept   tasks, new, ok, not_ok, outdated, durations, peaks

``files`` holds ``Facts``, and in ``new`` the versions of files that no record before has: paths and digests. Versions
are numbered from 0 as they appear. ``seen``: how files looked when they were read, to save reading them again.
``kept`` says of many tasks what records before it said, see ``compact``: ``tasks`` is their number, a row of ``ok`` is
a name, a key, a reason, durations, and null or the values of ``Facts``.

A journal does not contain what a task does, and never its environment: both are only part of the hash that is the
task's key.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any
from zlib import crc32

import orjson

from fastrun import __version__
from fastrun.journal.machine import boot_id, process_start_time
from fastrun.outcome import Outcome, Status
from fastrun.uptodate.facts import Facts, Made, Seen, Versions

FORMAT = 1

# First bytes of the JSON of a journal's first record, and length of the checksum with its space before the JSON.
_HEAD = b'{"record":"run",'
_SUM = 9
HEAD_LENGTH = _SUM + len(_HEAD)

# Most files or tasks in one record: a line of half a megabyte.
AT_ONCE = 4096


class JournalError(ValueError):
    """A file cannot be the journal of this run. The message is one line, and the file is unchanged."""


def run_record(run: str, document: str) -> dict[str, Any]:
    """Return the record that this process begins a run now. ``run``: its id. ``document``: a hash of the document."""
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
    """Return the record that a task is to run again, whatever was recorded of it before."""
    return {"record": "redo", "name": name}


def start_record(name: str, key: str, attempt: int, pid: int | None = None, ticks: int | None = None) -> dict[str, Any]:
    """Return the record that a task has started. ``pid``, ``ticks``: see ``recorded.Unfinished``."""
    return {"record": "start", "name": name, "key": key, "attempt": attempt, "pid": pid, "ticks": ticks}


def end_record(name: str, key: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Return the record of how an attempt at a task ended. ``seconds``: how long it ran.

    What its files are is added with ``files_field``.
    """
    return {
        "record": "end",
        "name": name,
        "key": key,
        "attempt": outcome.attempt,
        "status": outcome.status.label,
        "reason": outcome.reason,
        "seconds": seconds,
    }


def files_field(made: Made, versions: Versions) -> dict[str, Any]:
    """Return the field ``files`` of the end of a task. ``versions``: those recorded before; new ones are added."""
    first = len(versions.list)
    inputs, found, outputs = map(versions.numbers_of, (made.inputs, made.found, made.outputs))
    facts = Facts(inputs, found, outputs, made.variables, made.changed)
    return {"new": versions.list[first:], **facts._asdict()}


def seen_records(seen: Mapping[str, Seen]) -> Iterator[dict[str, Any]]:
    """Yield the records of how files looked, each of a bounded size."""
    rows = iter(seen.items())
    while files := [(path, *looks) for path, looks in islice(rows, AT_ONCE)]:
        yield {"record": "seen", "files": files}


def skip_record(name: str, reason: str) -> dict[str, Any]:
    """Return the record that a task was skipped. ``reason``: the text in the report."""
    return {"record": "skip", "name": name, "reason": reason}


def done_record(counts: Mapping[Status, int], exit_code: int) -> dict[str, Any]:
    """Return the record that the run is over. ``counts``: the number of tasks by status."""
    words = {status.label: count for status, count in counts.items()}
    return {"record": "done", "counts": words, "exit_code": exit_code}


def encode(record: dict[str, Any]) -> bytes:
    """Return the line of a record: an object for JSON whose first key is ``"record"``."""
    try:
        data = orjson.dumps(record)
    except TypeError:
        # A lone surrogate. Only a name given from Python can contain one.
        import json

        data = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %b\n" % (crc32(data), data)


def decode(line: bytes) -> Any:
    """Return the record in a line without its end, None if the line holds no record."""
    data = line[_SUM:]
    # The digits are compared, not the number: other digits for the same number are a flipped bit too.
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
    """Raise JournalError unless a text is empty or begins with the head of a journal."""
    if data and data[_SUM : _SUM + len(_HEAD)] != _HEAD:
        raise JournalError("not a journal of fastrun")

"""The journal of a run: makes records of what happens to tasks.

Knows tasks by their numbers, and the file. Does not know how a later run uses the records.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b

from fastrun.document.task import Task
from fastrun.executors.peaks import PEAK_UNIT, last_own_peak
from fastrun.journal.file import JournalFile
from fastrun.journal.machine import ticks_now
from fastrun.journal.records import (
    done_record,
    end_record,
    files_field,
    redo_record,
    run_record,
    seen_records,
    skip_record,
    start_record,
)
from fastrun.outcome import Cause, Outcome, Report, Start, Status
from fastrun.uptodate.facts import Made, Seen

# Causes of tasks that are ok without running.
_NOT_RUN = (Cause.FROM_JOURNAL, Cause.UP_TO_DATE)


class RunJournal:
    """The journal of one run."""

    def __init__(self, file: JournalFile, tasks: Sequence[Task], keys: Sequence[str], *, durable: bool = False) -> None:
        """``keys``: the tasks' keys. ``durable``: a record counts as written only once it is on the disk."""
        self._file = file
        self._tasks = tasks
        self._keys = keys
        self._durable = durable
        # By task that has ended, what it has read and made, until its end is noted.
        self._made: dict[int, Made] = {}
        self._began: dict[int, float] = {}

    def begin(self, run_id: str, redone: Iterable[str]) -> None:
        """Note that a run begins. ``run_id``: see ``RunRecord``.

        ``redone``: names of tasks that are recorded as ok and are to run again, in this run or a later one.
        """
        document = blake2b("".join(self._keys).encode(), digest_size=16).hexdigest()
        self._file.append(run_record(run_id, document))
        self.redo(redone)

    def open(self, on_change: Callable[[], object]) -> None:
        """Let the file call ``on_change``, in its thread, when more is written than ``flush`` returned, or it fails."""

        def changed(_: object) -> None:
            # Once the loop is closed no run waits for records.
            with suppress(RuntimeError):
                on_change()

        self._file.on_error = changed
        if self._durable:
            self._file.on_synced = changed

    def task_started(self, number: int, start: Start) -> None:
        """Note that an attempt has started."""
        self._began[number] = time.monotonic() - start.ago
        name, key = self._tasks[number].name, self._keys[number]
        ticks = None if start.pid is None else ticks_now()
        self._file.append(start_record(name, key, start.attempt, start.pid, ticks))

    def redo(self, names: Iterable[str]) -> None:
        """Note that tasks are to run again, in this run or a later one, whatever was recorded of them before."""
        for name in names:
            self._file.append(redo_record(name))

    def task_made(self, number: int, made: Made) -> None:
        """Note what a task has read and made. It is recorded with its end, which comes next."""
        self._made[number] = made

    def files_seen(self, seen: Mapping[str, Seen]) -> None:
        """Note how files looked, so that no later run need read them."""
        self._file.recorded.seen.update(seen)
        for record in seen_records(seen):
            self._file.append(record)

    def task_ended(self, number: int, outcome: Outcome) -> int:
        """Note how an attempt or a task has ended. Return the number of the record, see ``flush``."""
        name = self._tasks[number].name
        if outcome.cause in _NOT_RUN:
            # What was recorded before holds.
            return 0
        if outcome.status is Status.SKIPPED:
            return self._file.append(skip_record(name, outcome.reason))
        # An attempt that could not start has no time.
        now = time.monotonic() - outcome.ago
        seconds = max(0.0, now - self._began.pop(number, now))
        record = end_record(name, self._keys[number], outcome, round(seconds, 6))
        if outcome.usage is not None and (outcome.status is Status.OK or outcome.cause is Cause.OUT_OF_MEMORY):
            record["peak"] = outcome.usage.peak_bytes or last_own_peak() * PEAK_UNIT
        made = self._made.pop(number, None)
        if made is not None:
            record["files"] = files_field(made, self._file.recorded.versions)
        return self._file.append(record)

    def flush(self) -> int:
        """Write what was noted. Return the number of the last record that is written. Raise OSError on failure."""
        written = self._file.flush()
        return self._file.synced if self._durable else written

    def close(self, report: Report) -> None:
        """Note how the run ended, and close the file once all is on the disk. Raise OSError on failure."""
        self._file.append(done_record(report.counts, report.exit_code))
        self._file.close()
        if self._file.failed is not None:
            raise self._file.failed.with_traceback(None)

    @property
    def closed(self) -> os.stat_result | None:
        """Return how the file looked when it was closed, None before."""
        return self._file.closed

    def abandon(self) -> None:
        """Close the file: there was no run."""
        self._file.abandon()

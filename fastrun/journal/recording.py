"""The journal of a run: makes records of what happens to tasks.

Knows tasks by their numbers, and the file. Does not know how a later run uses the records.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b

from fastrun.document.task import Task
from fastrun.journal.file import JournalFile
from fastrun.journal.machine import ticks_now
from fastrun.journal.records import done_record, end_record, redo_record, run_record, skip_record, start_record
from fastrun.outcome import Outcome, Report, Start, Status


class RunJournal:
    """The journal of one run."""

    def __init__(self, file: JournalFile, tasks: Sequence[Task], keys: Sequence[str], *, durable: bool = False) -> None:
        """``keys``: the tasks' keys. ``durable``: a record counts as written only once it is on the disk."""
        self._file = file
        self._tasks = tasks
        self._keys = keys
        self._durable = durable
        self._began: dict[int, float] = {}

    def begin(self, run_id: str, redone: Iterable[str]) -> None:
        """Note that a run begins. ``run_id``: see ``RunRecord``.

        ``redone``: names of tasks that are recorded as ok and are to run again, in this run or a later one.
        """
        document = blake2b("".join(self._keys).encode(), digest_size=16).hexdigest()
        self._file.append(run_record(run_id, document))
        for name in redone:
            self._file.append(redo_record(name))

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
        self._began[number] = time.monotonic()
        name, key = self._tasks[number].name, self._keys[number]
        ticks = None if start.pid is None else ticks_now()
        self._file.append(start_record(name, key, start.attempt, start.pid, ticks))

    def task_ended(self, number: int, outcome: Outcome) -> int:
        """Note how an attempt or a task has ended. Return the number of the record, see ``flush``."""
        name = self._tasks[number].name
        if outcome.status is Status.SKIPPED:
            return self._file.append(skip_record(name, outcome.reason))
        # An attempt that could not start has no time.
        now = time.monotonic()
        seconds = now - self._began.pop(number, now)
        return self._file.append(end_record(name, self._keys[number], outcome, round(seconds, 6)))

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

    def abandon(self) -> None:
        """Close the file: there was no run."""
        self._file.abandon()

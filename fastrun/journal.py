"""The journal: what a run did, written so that another run can go on from there.

Knows tasks, what makes two of them the same, and one file. Does not know how a task is run, nor what is made of what is
recorded. A run without a journal does not import it.

A record is a line: the CRC-32 of the JSON that follows, as eight hexadecimal digits, a space, the JSON. The first is
always a ``run``; a reader passes over kinds that it does not know::

    run    format, fastrun, id, boot, pid, pid_start, input, time
    start  name, key, attempt, pid, pid_start     (null for snippets)
    end    name, key, attempt, status, reason, seconds
    skip   name, cause
    done   counts, exit_code

What a task does, its environment above all, is in it only as a part of the hash that is its key.
"""

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from types import NoneType
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from fastrun import __version__
from fastrun.graph import Graph
from fastrun.protocols import Outcome, Status
from fastrun.spec import collector_off, printable

FORMAT = 1

# Seconds between two syncs, at least. One takes 0.6 to 1.6 ms of the disk, whatever the number of records.
SYNC_SECONDS = 0.05

# How the JSON of a journal's first record begins, and the length of the checksum and the space before it.
_HEAD = b'{"record":"run",'
_SUM = 9

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
    "start": (("name", str), ("key", str), ("attempt", int), ("pid", _NUMBER_OR_NULL), ("pid_start", _NUMBER_OR_NULL)),
    "end": (
        ("name", str),
        ("key", str),
        ("attempt", int),
        ("status", str),
        ("reason", str),
        ("seconds", (float, int)),
    ),
    "skip": (("name", str), ("cause", str)),
    "done": (("counts", dict), ("exit_code", int)),
}

# macOS has no fdatasync.
_fdatasync = getattr(os, "fdatasync", os.fsync)


class JournalError(Exception):
    """A file that cannot be the journal of this run, in one line. The file is as it was."""


class RunRecord(NamedTuple):
    """A run of which there are records.

    ``id``: as it was given to ``run_started``. ``boot``: see ``boot_id``. ``pid``, ``pid_start``: of the runner, see
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

    ``pid``, ``pid_start``: of its process, None for a snippet. ``run``: the run that started it.
    """

    name: str
    key: str
    attempt: int
    pid: int | None
    pid_start: int | None
    run: RunRecord


class Recorded:
    """What a journal says.

    ``runs``: in their order. ``exit_code``: of the last run, None if that has no end.
    ``ok``: by name, for tasks that are ok and were not started again since: whatever a later start was about to do, it
    may have undone what the success had made.
    ``seconds``: by name, how long the task ran when it was last ok.
    ``unfinished``: by name, the newest start where that has no end. Older starts of the same task are not kept: who
    starts it again has ended what was left of it.
    ``length``: bytes up to the end of the last good record. ``damaged``: bytes behind them.
    """

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.exit_code: int | None = None
        self.ok: dict[str, Success] = {}
        self.seconds: dict[str, float] = {}
        self.unfinished: dict[str, Unfinished] = {}
        self.length = 0
        self.damaged = 0

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
        if kind == "start":
            self._start(record)
        elif kind == "end":
            self._end(record)
        elif kind == "run":
            run = RunRecord(*[record[field] for field in RunRecord._fields])
            self.runs.append(run)
            self.exit_code = None
        elif kind == "done":
            self.exit_code = record["exit_code"]
        return True

    def _start(self, record: dict[str, Any]) -> None:
        name = record["name"]
        self.ok.pop(name, None)
        self.unfinished[name] = Unfinished(
            name, record["key"], record["attempt"], record["pid"], record["pid_start"], self.runs[-1]
        )

    def _end(self, record: dict[str, Any]) -> None:
        name = record["name"]
        started = self.unfinished.get(name)
        if started is not None and started.attempt == record["attempt"]:
            del self.unfinished[name]
        if record["status"] == Status.OK.label:
            self.ok[name] = Success(record["key"], record["reason"], record["seconds"])
            self.seconds[name] = record["seconds"]


def task_keys(graph: Graph) -> list[str]:
    """For each task a hash of its name, of what it does and of its dependencies' keys, 32 hexadecimal digits.

    Equal keys mean the same work on results of the same work. Positions and the order of dependencies do not matter.
    """
    waiting_on, offsets, dependents = graph.waiting_on, graph.offsets, graph.dependents
    digests = [b""] * len(graph)
    # Digests of dependencies, for tasks of which others are still to come.
    found: dict[int, list[bytes]] = {}
    order = [number for number, count in enumerate(waiting_on) if not count]
    with collector_off():
        for number in order:
            # All keys of a task stand here, so that a new one is an error until it is decided whether it is a part of
            # what the task does (it goes into the tuple below) or of how it is run.
            name, type_, arguments, _dependencies, cwd, env, _timeout, detach = graph.tasks[number]
            variables = sorted(env.items()) if env else None
            # Quoted and escaped, so that no two tuples look alike; unlike repr the same in every version of Python.
            text = ascii((name, type_, arguments, cwd, variables, detach)).encode()
            below = found.pop(number, None)
            if below:
                below.sort()
                text += b"".join(below)
            digest = digests[number] = blake2b(text, digest_size=16).digest()
            for dependent in dependents[offsets[number] : offsets[number + 1]]:
                others = found.setdefault(dependent, [])
                others.append(digest)
                if len(others) == waiting_on[dependent]:
                    order.append(dependent)
    return [digest.hex() for digest in digests]


def read_journal(data: bytes) -> Recorded:
    """What the text of a journal says, up to its first line that is torn or damaged.

    Raises JournalError for what is no journal, one in a format of another version, and one of which the first line is
    damaged: nothing tells it from some other file. Only when all there is is the beginning of that line, it was torn.
    """
    _check_head(data)
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


def boot_id() -> str:
    """What tells this boot of the machine from every other; empty where the system does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def process_start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since the boot: with its number it is unique within a boot.

    None if there is no such process or no /proc. A zombie still has one. See proc(5), field 22 of ``stat``.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The second field, the name, may hold blanks and parentheses; none of the others does.
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None


class Journal:
    """Writes a journal, and holds its lock. All methods are for one thread.

    ``recorded``: what was in it when it was opened. ``notes``: lines for the user about that.
    ``failed``: the first error in writing or syncing, after which nothing is written any more.
    ``synced``: how many of the records appended here are known to be on the disk; each ``append`` returns the number
    at which its own is.
    """

    def __init__(
        self,
        fd: int,
        recorded: Recorded,
        on_error: Callable[[OSError], None] | None,
        on_synced: Callable[[int], None] | None,
    ) -> None:
        """``fd``: open for appending, and locked. See ``open``."""
        self.recorded = recorded
        self.notes: list[str] = []
        self.failed: OSError | None = None
        self.synced = 0
        self._fd = fd
        self._on_error = on_error
        self._on_synced = on_synced
        self._lines: list[bytes] = []
        self._appended = 0
        self._written = 0
        self._thread: threading.Thread | None = None
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._sync_failed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        resume: bool,
        *,
        on_error: Callable[[OSError], None] | None = None,
        on_synced: Callable[[int], None] | None = None,
    ) -> "Journal":
        """Open or create a journal, and cut off what a crash left behind its last whole record.

        ``resume``: go on with the runs that it holds. ``on_error`` is called with a failed sync, ``on_synced`` after
        each other one with the new ``synced``; both in the thread that syncs, and they must not raise.

        Raises JournalError if another runner has it, if it holds a run and is not to be resumed, or if the file is
        something else; OSError if the file cannot be opened, locked or read.
        """
        label = printable(os.fspath(path))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise JournalError("not a regular file")
            _lock(fd)
            journal = cls(fd, _read(fd), on_error, on_synced)
            recorded = journal.recorded
            if recorded.runs and not resume:
                raise JournalError("holds a run already; --resume goes on with it")
            if recorded.damaged:
                os.ftruncate(fd, recorded.length)
                many = f"{recorded.damaged} damaged byte{'s' if recorded.damaged > 1 else ''}"
                journal.notes.append(f"{label}: {many} behind the last whole record cut off")
            if recorded.length:
                # What a killed runner wrote may not be on the disk yet, and is relied on from here on.
                _fdatasync(fd)
            else:
                _sync_folder(path)
        except JournalError as error:
            os.close(fd)
            raise JournalError(f"{label}: {error}") from None
        except BaseException:
            os.close(fd)
            raise
        return journal

    def append(self, record: dict[str, Any]) -> int:
        """Keep a record for the next ``flush``, or drop it once ``failed``. Returns its number, see ``synced``.

        ``record``: anything that JSON can hold; the first key is ``"record"``, its kind. A run begins with a ``run``.
        """
        self._appended += 1
        if self.failed is None:
            self._lines.append(_encode(record))
        return self._appended

    def flush(self) -> None:
        """Write what was appended, so that it outlives this process, and have it synced soon.

        Raises OSError if that fails, and the same one each time after that or after a failed sync: nobody should act
        on what is not recorded. What was written of the records ends with a whole one where the file can still be cut.
        """
        if self.failed is not None:
            raise self.failed.with_traceback(None)
        if not self._lines:
            return
        data = b"".join(self._lines)
        count = len(self._lines)
        self._lines.clear()
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError as error:
            self.failed = error
            whole = data.rfind(b"\n", 0, written) + 1
            if whole < written:
                # Who reads it cuts it off where this fails too.
                with suppress(OSError):
                    os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
            self._written += data.count(b"\n", 0, whole)
            raise
        self._written += count
        # One look for many records: the thread takes it back just before it syncs.
        if not self._unsynced.is_set():
            self._unsynced.set()
            self._start_thread()

    def close(self) -> None:
        """Write and sync what is left, then give up the lock. Does not raise: ``failed`` tells."""
        if self._fd < 0:
            return
        with suppress(OSError):
            self.flush()
        if self._thread is not None:
            self._closing.set()
            self._unsynced.set()
            self._thread.join()
        self._sync()
        # Closing alone is not enough while a copy that a snippet forked off lives: the lock is the open file's.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)
        self._fd = -1

    def run_started(self, run: str, document: str) -> int:
        """Append the ``run``, by this process and now. ``run``: its id. ``document``: a hash of what is run."""
        pid = os.getpid()
        return self.append(
            {
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
        )

    def task_started(
        self, name: str, key: str, attempt: int, pid: int | None = None, pid_start: int | None = None
    ) -> int:
        """Append a ``start``. ``pid``, ``pid_start``: of its process, None for a snippet."""
        record = {"record": "start", "name": name, "key": key, "attempt": attempt, "pid": pid, "pid_start": pid_start}
        return self.append(record)

    def task_ended(self, name: str, key: str, attempt: int, outcome: Outcome, seconds: float) -> int:
        """Append an ``end``. ``seconds``: how long it ran."""
        return self.append(
            {
                "record": "end",
                "name": name,
                "key": key,
                "attempt": attempt,
                "status": outcome.status.label,
                "reason": outcome.reason,
                "seconds": seconds,
            }
        )

    def task_skipped(self, name: str, cause: str) -> int:
        """Append a ``skip``. ``cause``: the name of the task that failed."""
        return self.append({"record": "skip", "name": name, "cause": cause})

    def run_ended(self, counts: Mapping[Status, int], exit_code: int) -> int:
        """Append the ``done``, which says that the run came to its end. ``counts``: tasks by status."""
        words = {status.label: count for status, count in counts.items()}
        return self.append({"record": "done", "counts": words, "exit_code": exit_code})

    def _start_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._sync_repeatedly, name="fastrun-journal", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # There are no more threads: slower, but what was promised.
                self._unsynced.clear()
                self._sync()
            else:
                self._thread = thread

    def _sync_repeatedly(self) -> None:
        following = 0.0
        while self._unsynced.wait() and not self._closing.wait(max(0.0, following - time.monotonic())):
            # First taken back, then synced: what is written in between is looked at once more, not once too little.
            self._unsynced.clear()
            self._sync()
            if self._sync_failed:
                return
            following = time.monotonic() + SYNC_SECONDS

    def _sync(self) -> None:
        """Sync what is written. After one that failed there is no second: the system may have dropped the pages."""
        written = self._written
        if written == self.synced or self._sync_failed:
            return
        try:
            _fdatasync(self._fd)
        except OSError as error:
            self._sync_failed = True
            self.failed = self.failed or error
            if self._on_error is not None:
                self._on_error(error)
            return
        self.synced = written
        if self._on_synced is not None:
            self._on_synced(written)


def _encode(record: dict[str, Any]) -> bytes:
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


def _check_head(data: bytes) -> None:
    """Raise JournalError unless a text begins as all journals do, or is empty."""
    if data and data[_SUM : _SUM + len(_HEAD)] != _HEAD:
        raise JournalError("not a journal of fastrun")


def _lock(fd: int) -> None:
    """Take the lock, which the system takes back however this process ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = "another process"
        with suppress(JournalError):
            run = _read(fd).runs[-1:]
            # The last run may be over, and the holder one that has not said yet who it is.
            if run and run[0].boot == boot_id() and run[0].pid_start == process_start_time(run[0].pid):
                holder = f"process {run[0].pid}"
        raise JournalError(f"in use by {holder}") from None


def _read(fd: int) -> Recorded:
    # Before all of a file is read that may be any size.
    _check_head(os.pread(fd, _SUM + len(_HEAD), 0))
    with open(fd, "rb", closefd=False) as file:
        return read_journal(file.read())


def _sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the name of a new file outlive a crash of the machine."""
    fd = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems cannot sync a folder.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)

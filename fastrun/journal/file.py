"""The file of a journal: its lock, whole records at its end, what is written and when it is on the disk.

Does not know what the records say.
"""

import errno
import fcntl
import os
import signal
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fastrun.journal.machine import boot_id, process_start_time
from fastrun.journal.records import HEAD_LENGTH, JournalError, Recorded, check_head, encode, read_journal
from fastrun.text import printable

# Seconds between two syncs, at least. One takes 0.6 to 1.6 ms of the disk, whatever the number of records.
SYNC_SECONDS = 0.05


class JournalFile:
    """Writes a journal, and holds its lock. All methods are for one thread at a time.

    ``recorded``: what was in it when it was opened. ``notes``: lines for the user about that.
    ``failed``: the first error in writing or syncing, after which nothing is written any more.
    ``synced``: how many of the records appended here are known to be on the disk; each ``append`` returns the number
    at which its own is.
    ``on_error``: called with a failed sync, ``on_synced`` after each other one with the new ``synced``; both in the
    thread that syncs, and they must not raise.
    """

    def __init__(self, fd: int, recorded: Recorded) -> None:
        """``fd``: open for appending, and locked. See ``open``."""
        self.recorded = recorded
        self.notes: list[str] = []
        self.failed: OSError | None = None
        self.synced = 0
        self._fd = fd
        self.on_error: Callable[[OSError], None] | None = None
        self.on_synced: Callable[[int], None] | None = None
        self._records: list[dict[str, Any]] = []
        self._appended = 0
        self._written = 0
        self._thread: threading.Thread | None = None
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._sync_failed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], resume: bool) -> "JournalFile":
        """Open or create a journal, and cut off what a crash left behind its last whole record.

        ``resume``: go on with the runs that it holds.

        Raises JournalError if another runner has it, if it holds a run and is not to be resumed, or if the file is
        something else; OSError if the file cannot be opened, locked or read.
        """
        label = printable(os.fspath(path))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise JournalError("not a regular file")
            _lock(fd)
            journal = cls(fd, _read(fd))
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

        ``record``: one of those that ``records`` makes. A run begins with a ``run``.
        """
        self._appended += 1
        if self.failed is None:
            self._records.append(record)
        return self._appended

    def flush(self) -> int:
        """Write what was appended, so that it outlives this process, and have it synced soon.

        Returns the number of the last record that is written.

        Raises OSError if that fails, and the same one each time after that or after a failed sync: nobody should act
        on what is not recorded. What was written of the records ends with a whole one where the file can still be cut.
        """
        if self.failed is not None:
            raise self.failed.with_traceback(None)
        if not self._records:
            return self._written
        # Here, not one by one as they come: between starts of commands the same takes several times as long.
        data = b"".join(map(encode, self._records))
        count = len(self._records)
        self._records.clear()
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
        return self._written

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

    def abandon(self) -> None:
        """Forget what was appended and not written, then close."""
        self._records.clear()
        self.close()

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
        # The end of nearly every command would wake it otherwise: SIGCHLD goes to a thread that does not block it, and
        # the one that starts commands does so meanwhile.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        following = 0.0
        while self._unsynced.wait() and not self._closing.wait(max(0.0, following - time.monotonic())):
            # First taken back, then synced: what is written in between is looked at once more, not once too little.
            self._unsynced.clear()
            self._sync()
            # Who closes sets the one before the other, which may just have been taken back.
            if self._sync_failed or self._closing.is_set():
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
            if self.on_error is not None:
                self.on_error(error)
            return
        self.synced = written
        if self.on_synced is not None:
            self.on_synced(written)


def _fdatasync(fd: int) -> None:
    # macOS has none.
    getattr(os, "fdatasync", os.fsync)(fd)


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
    check_head(os.pread(fd, HEAD_LENGTH, 0))
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

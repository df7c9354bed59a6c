"""The file of a journal: its lock, its whole records, and when they are on the disk.

Does not know what the records mean.
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

from fastrun.journal.compact import compact, is_mostly_history
from fastrun.journal.machine import boot_id, process_start_time
from fastrun.journal.recorded import Recorded, read_journal
from fastrun.journal.records import HEAD_LENGTH, JournalError, check_head, encode
from fastrun.text import printable
from fastrun.threads import Thread

# Fewest seconds between two syncs. A sync keeps the disk busy for 0.6 to 1.6 ms, whatever the number of records.
SYNC_SECONDS = 0.05

# What is said of a journal that cannot begin a run.
HOLDS_A_RUN = "already holds a run: --resume goes on with it, --rerun '*' runs everything again"


class JournalFile:
    """Writes a journal and holds its lock. Only one thread at a time may call the methods.

    ``recorded``: what the file contained when it was opened. ``notes``: lines for the user about that.
    ``failed``: the first error in writing or syncing. After it nothing more is written.
    ``synced``: how many of the records appended here are known to be on the disk. ``append`` returns the number that
    ``synced`` reaches when its record is there.
    ``closed``: how the file looked when it was closed, None before. Another process may change it after that.
    ``on_error``: called with the error of a failed sync. ``on_synced``: called with the new ``synced`` after each
    successful sync. The syncing thread calls both, and neither may raise.
    """

    def __init__(self, fd: int, recorded: Recorded) -> None:
        """``fd``: a descriptor that is open for appending and locked. See ``open``."""
        self.recorded = recorded
        self.notes: list[str] = []
        self.failed: OSError | None = None
        self.synced = 0
        self.closed: os.stat_result | None = None
        self._fd = fd
        self.on_error: Callable[[OSError], None] | None = None
        self.on_synced: Callable[[int], None] | None = None
        self._records: list[dict[str, Any]] = []
        self._appended = 0
        self._written = 0
        self._thread: Thread | None = None
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._sync_failed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], resume: bool) -> "JournalFile":
        """Open or create a journal, and cut off what a crash left after its last whole record.

        A journal that is mostly history is written anew.

        ``resume``: whether a journal that holds runs is accepted, to continue them.

        Raises JournalError if another runner uses the journal, if it holds a run and ``resume`` is false, or if the
        file is not a journal. Raises OSError if the file cannot be opened, locked or read.
        """
        try:
            return cls._open(path, resume)
        except JournalError as error:
            raise JournalError(f"{printable(os.fspath(path))}: {error}") from None

    @classmethod
    def _open(cls, path: str | os.PathLike[str], resume: bool) -> "JournalFile":
        journal = cls(_open_locked(path), Recorded())
        try:
            recorded = journal.recorded = _read(journal._fd)
            if recorded.runs and not resume:
                raise JournalError(HOLDS_A_RUN)
            if recorded.damaged:
                os.ftruncate(journal._fd, recorded.length)
                many = f"{recorded.damaged} damaged byte{'s' if recorded.damaged > 1 else ''}"
                journal.notes.append(f"{printable(os.fspath(path))}: cut off {many} after the last whole record")
            if recorded.length:
                # The records of a killed runner may not be on the disk yet, and this run relies on them.
                _fdatasync(journal._fd)
            else:
                _sync_folder(path)
            if is_mostly_history(recorded):
                journal._write_anew(os.path.realpath(path))
        except BaseException:
            os.close(journal._fd)
            raise
        return journal

    def _write_anew(self, path: str) -> None:
        """Replace the file by one without history. If the system does not allow that, the file stays as it is.

        However this process ends meanwhile, the path leads to the old file or to the new one, and both are whole.
        Raises OSError if it is not known which of the two a crash of the machine would leave.
        """
        data = compact(self.recorded)
        beside = f"{path}.being-written"
        try:
            # A process that was killed here may have left one behind.
            fd = _open_locked(beside, os.O_NOFOLLOW)
        except (OSError, JournalError):
            return
        try:
            old = os.fstat(self._fd)
            os.fchown(fd, old.st_uid, old.st_gid)
            os.fchmod(fd, stat.S_IMODE(old.st_mode))
            os.ftruncate(fd, 0)
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
            _fdatasync(fd)
            os.rename(beside, path)
        except OSError:
            with suppress(OSError):
                os.unlink(beside)
            os.close(fd)
            return
        _unlock(self._fd)
        self._fd = fd
        self.recorded = read_journal(data)
        _sync_folder(path)

    def append(self, record: dict[str, Any]) -> int:
        """Keep a record for the next ``flush``, or drop it once ``failed`` is set. Return its number, see ``synced``.

        ``record``: made by a function of ``records``. The first record of a run is a ``run``.
        """
        self._appended += 1
        if self.failed is None:
            self._records.append(record)
        return self._appended

    def flush(self) -> int:
        """Write the appended records, so that they outlive this process, and have them synced soon.

        Returns the number of the last written record.

        Raises OSError if writing fails, and the same error at each later call, also after a failed sync: the caller
        must not act on what is not recorded. After a failed write the file is cut behind its last whole record, if
        the system allows that.
        """
        if self.failed is not None:
            raise self.failed.with_traceback(None)
        if not self._records:
            return self._written
        # Encoded here and not one by one in append: between starts of commands the same work takes several times as
        # long.
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
                # If this fails too, the next reader ignores the torn record.
                with suppress(OSError):
                    os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
            self._written += data.count(b"\n", 0, whole)
            raise
        self._written += count
        # One wake-up serves many records: the thread clears the event just before it syncs.
        if not self._unsynced.is_set():
            self._unsynced.set()
            self._start_thread()
        return self._written

    def close(self) -> None:
        """Write and sync what is left, then release the lock. Never raises: see ``failed``."""
        if self._fd < 0:
            return
        with suppress(OSError):
            self.flush()
        if self._thread is not None:
            self._closing.set()
            self._unsynced.set()
            self._thread.join()
        self._sync()
        self.closed = os.fstat(self._fd)
        _unlock(self._fd)
        self._fd = -1

    def abandon(self) -> None:
        """Drop the records that are not written yet, then close."""
        self._records.clear()
        self.close()

    def _start_thread(self) -> None:
        if self._thread is None:
            thread = Thread(self._sync_repeatedly, "fastrun-journal")
            try:
                thread.start()
            except RuntimeError:
                # The system grants no more threads. Syncing here is slower, but keeps what ``flush`` promises.
                self._unsynced.clear()
                self._sync()
            else:
                self._thread = thread

    def _sync_repeatedly(self) -> None:
        # SIGCHLD goes to any thread that does not block it, and the thread that starts commands blocks it meanwhile:
        # without this, the end of nearly every command would wake this thread.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        following = 0.0
        while self._unsynced.wait() and not self._closing.wait(max(0.0, following - time.monotonic())):
            # Cleared before the sync: records written in between cause one sync too many, never one too few.
            self._unsynced.clear()
            self._sync()
            # ``close`` sets ``_closing`` first and ``_unsynced`` second, which may just have been cleared here.
            if self._sync_failed or self._closing.is_set():
                return
            following = time.monotonic() + SYNC_SECONDS

    def _sync(self) -> None:
        """Sync what is written. A failed sync is not repeated: the system may have dropped the pages."""
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
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(fd)


def _open_locked(path: str | os.PathLike[str], flags: int = 0) -> int:
    """Open or create a file and lock it. Return its descriptor. Raises JournalError or OSError."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise JournalError("not a regular file")
            _lock(fd)
            # The process that had the lock may have replaced the file after it was opened here.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _unlock(fd: int) -> None:
    # The lock belongs to the open file. A process forked by a snippet may still have a copy of the descriptor, so
    # closing ours would not release the lock.
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def _lock(fd: int) -> None:
    """Lock the file. The system releases the lock however this process ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = "another process"
        with suppress(JournalError):
            run = _read(fd).runs[-1:]
            # The last recorded run may be over, and the holder may not have written its own record yet.
            if run and run[0].boot == boot_id() and run[0].pid_start == process_start_time(run[0].pid):
                holder = f"process {run[0].pid}"
        raise JournalError(f"in use by {holder}") from None


def _read(fd: int) -> Recorded:
    # Checked before the whole file is read, which may be of any size.
    check_head(os.pread(fd, HEAD_LENGTH, 0))
    with open(fd, "rb", closefd=False) as file:
        return read_journal(file.read())


def _sync_folder(path: str | os.PathLike[str]) -> None:
    """Sync the folder of a new file, so that the file's name outlives a crash of the machine."""
    fd = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems cannot sync a folder.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)

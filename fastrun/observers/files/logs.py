"""A folder with all that each task prints, in a file per attempt, as it comes.

A task ``compile`` has ``compile.log``, its second attempt ``compile~2.log``. A name that cannot be a file's is changed
and has a digest behind it: ``a_b~1f0c8a2e44.log``. ``index.jsonl`` has the name of each task beside its file. Where
there are many tasks, folders with numbers hold the files.

Knows names, bytes and a folder. Does not know what a run shows elsewhere.
"""

import asyncio
import errno
import hashlib
import os
import re
import resource
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from json.encoder import encode_basestring_ascii as quoted

from fastrun.document.task import Task
from fastrun.observers.files.output import FileObserver, OutputFile
from fastrun.outcome import Report, Start
from fastrun.text import printable

# The file that tells which file is whose.
INDEX = "index.jsonl"

# Most tasks of a folder: with three retries it has four times as many files.
_IN_A_FOLDER = 1_000

# Characters of a task's name that a file's name may not have, and most characters that it has of one. A colon is no
# character for a file: the artefacts of GitHub Actions and Windows refuse it.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]")
_LONGEST = 100

# Most files that are open at once, unless that is more than a sixteenth of what the system grants.
_OPEN = 64


class Logs(FileObserver):
    """Writes what tasks print. Comes before the observers that name its files."""

    def __init__(self, folder: str) -> None:
        """``folder``: is made if it is missing. Raises OSError."""
        self._folder = folder
        # A snippet may change the current directory.
        self._root = os.path.abspath(folder)
        self._made = not os.path.isdir(folder)
        try:
            os.makedirs(folder, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None
        super().__init__(OutputFile(os.path.join(folder, INDEX)))
        self.complete = False
        self._tasks: Sequence[Task] = ()
        # By number, the last attempt that has started; 0 for none.
        self._attempts = array("I")
        # By number, descriptors of files, in the order in which they were opened. Negative numbers hold descriptors for
        # files to come, so that commands cannot take the last ones.
        self._open: dict[int, int] = {}
        # Whether the index is about to be flushed, once for all starts of a turn.
        self._flushing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Tasks whose files are not whole, and the first error.
        self._broken: set[int] = set()
        self._failure = ""

    def discard(self) -> None:
        """Leave everything as it was: there will be no run."""
        super().discard()
        if self._made:
            with suppress(OSError):
                os.rmdir(self._root)

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Note the tasks, and take the descriptors."""
        self._tasks = tasks
        self._attempts = array("I", bytes(4 * len(tasks)))
        with suppress(RuntimeError):
            # There is no loop where something other than a run calls the hooks, such as a test.
            self._loop = asyncio.get_running_loop()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = _OPEN if limit == resource.RLIM_INFINITY else max(min(_OPEN, limit // 16), 1)
        for number in range(min(most, len(tasks))):
            self._open[-1 - number] = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)

    def task_started(self, number: int, task: Task, start: Start) -> None:
        """Make the file of an attempt."""
        self._attempts[number] = start.attempt
        path = self.path(number, start.attempt)
        line = f'{{"name":{quoted(task.name)},"attempt":{start.attempt},"log":{quoted(path)}}}\n'
        self.file.write(line.encode())
        if not self._flushing and self._loop is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)
        if self._broken:
            self._broken.discard(number)
        self._descriptor(number, os.O_TRUNC)

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:  # noqa: ARG002
        """Write output, both streams in the order in which it came."""
        if number in self._broken:
            return
        descriptor = self._open.get(number)
        if descriptor is None:
            descriptor = self._descriptor(number, os.O_APPEND)
        try:
            written = 0 if descriptor is None else os.write(descriptor, data)
            while descriptor is not None and written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError as error:
            self._failed(number, error)

    def run_ended(self, report: Report) -> None:  # noqa: ARG002
        """Note that nothing more comes."""
        self.complete = True

    def path(self, number: int, attempt: int) -> str:
        """Return the file of an attempt, relative to the folder."""
        name = _file_name(self._tasks[number].name)
        if attempt > 1:
            name = f"{name}~{attempt}"
        many = len(self._tasks)
        if many <= _IN_A_FOLDER:
            return f"{name}.log"
        return f"{number // _IN_A_FOLDER:0{len(str((many - 1) // _IN_A_FOLDER))}}/{name}.log"

    def path_for_user(self, number: int, attempt: int) -> str:
        """Return the path of the file of an attempt, as the folder was given."""
        return os.path.join(self._folder, self.path(number, attempt))

    def shown_path(self, number: int) -> str:
        """Return the path of a task's last file as a line may contain it, empty if no attempt has started."""
        attempt = self._attempts[number]
        return printable(self.path_for_user(number, attempt)) if attempt else ""

    def links(self, beside: str) -> list[str]:
        """Return by number the path of each task's last file, from the file ``beside``; empty for none."""
        folder = os.path.relpath(self._root, os.path.dirname(os.path.abspath(beside)))
        found = enumerate(self._attempts)
        return [f"{folder}/{self.path(number, attempt)}" if attempt else "" for number, attempt in found]

    def close(self) -> str:
        """Close all files. Return a line about those that are not whole."""
        for number in list(self._open):
            self._close(number)
        return self._failure or super().close()

    def _descriptor(self, number: int, flag: int) -> int | None:
        """Open the last file of a task, in place of the file that has been open longest."""
        path = os.path.join(self._root, self.path(number, self._attempts[number]))
        self._close(number if number in self._open else next(iter(self._open), number))
        while True:
            try:
                descriptor = self._open[number] = _opened(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._open:
                    self._failed(number, error)
                    return None
                # A snippet has taken the descriptor that was just closed.
                self._close(next(iter(self._open)))
            else:
                return descriptor

    def _flush(self) -> None:
        self._flushing = False
        self.file.flush()

    def _close(self, number: int) -> None:
        descriptor = self._open.pop(number, None)
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _failed(self, number: int, error: OSError) -> None:
        """Write no more to a file: what came later would stand where it does not belong."""
        self._broken.add(number)
        self._failure = self._failure or f"cannot write {self.shown_path(number)}: {error.strerror}"


def _opened(path: str, flags: int) -> int:
    """Open a file, in a folder that may be missing."""
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _file_name(name: str) -> str:
    """Return a name that a file can have: the task's own, or one with ``~``. Different tasks have different ones."""
    safe = _UNSAFE.sub("_", name[:_LONGEST])
    # The file systems of macOS take the names A and a for the same.
    if safe == name and name and not name.startswith((".", "-")) and (sys.platform != "darwin" or name == name.lower()):
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    return f"{safe.lstrip('.-')}~{digest}"

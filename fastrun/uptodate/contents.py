"""What is in files: digests, each kept as long as the file looks the same.

Knows the file system. Does not know tasks.
"""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b

from fastrun.settings import JOURNALS
from fastrun.uptodate.declared import Pattern, folders_around, is_pattern
from fastrun.uptodate.facts import Seen, Version

# The digest of a path at which there is nothing.
ABSENT = ""

# The digest of a file that cannot be read: nothing is equal to it.
UNREADABLE = "unreadable"

# The digest of a folder: what is in it has paths of its own.
FOLDER = "folder"

# Most bytes of a file that are read at once.
_PIECE = 1 << 18

# Nanoseconds that a time stamp may be older than the change it stands for, where a file system keeps whole seconds
# (FAT: two of them).
_COARSE = 2_000_000_000
_SECOND = 1_000_000_000


class Contents:
    """The digests of files. Any thread may call the methods.

    A file that looks as it did is not read again, unless it had changed so shortly before it was read that a later
    change would have left no trace: Git has the same rule, see gitformat-index(5) and racy-git.txt.

    ``news``: by path, what was read since this was made and may be relied on later.
    """

    def __init__(self, seen: Mapping[str, Seen], folder: str) -> None:
        """``seen``: by path, what is known from earlier runs. ``folder``: what paths are relative to, absolute."""
        self._seen = seen
        self.folder = f"{folder}/"
        self._stopped = False
        self.news: dict[str, Seen] = {}

    def stop(self) -> None:
        """Read no more: nobody waits for it."""
        self._stopped = True

    def full(self, path: str) -> str:
        """Return the absolute path: a snippet may change the working directory."""
        return path if path[0] == "/" else self.folder + path

    def known(self, path: str) -> str | None:
        """Return the digest of what is at a path, None if a file has to be read for it."""
        full = path if path[0] == "/" else self.folder + path
        try:
            found = os.stat(full)
        except (OSError, ValueError):
            return self._without_target(full)
        seen = self.news.get(path) or self._seen.get(path)
        # Only regular files are seen, and an inode that looks the same is one still.
        if (
            seen is not None
            and seen.mtime == found.st_mtime_ns
            and seen.ctime == found.st_ctime_ns
            and seen.size == found.st_size
            and seen.inode == found.st_ino
        ):
            return seen.digest
        mode = found.st_mode
        return None if stat.S_ISREG(mode) else self._special(full, mode)

    def looks(self, path: str, digest: str) -> list[int] | None:
        """Return how a file looked when this digest was that of its content, None if that is not known."""
        seen = self.news.get(path) or self._seen.get(path)
        return list(seen[:4]) if seen is not None and seen.digest == digest else None

    def digest(self, path: str) -> str:
        """Return the digest of what is at a path, reading it if need be."""
        known = self.known(path)
        if known is not None:
            return known
        # Before the file is opened: what is written from now on has a later time, or the same.
        now = kernel_time()
        try:
            descriptor = os.open(self.full(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return ABSENT
        except OSError:
            return UNREADABLE
        try:
            looks = _looks(os.fstat(descriptor))
            digest = self._read(descriptor)
            if looks == _looks(os.fstat(descriptor)) and _last_change(looks, now) < now:
                self.news[path] = Seen(*looks, digest)
            else:
                self.news.pop(path, None)
        except OSError:
            return UNREADABLE
        finally:
            os.close(descriptor)
        return digest

    def _read(self, descriptor: int) -> str:
        content = blake2b(digest_size=16)
        while piece := os.read(descriptor, _PIECE):
            if self._stopped:
                raise InterruptedError
            content.update(piece)
        return content.hexdigest()

    def text(self, path: str) -> str:
        """Return what is in a file. Raises OSError, also for what is no file: a pipe might never end."""
        full = self.full(path)
        if not stat.S_ISREG(os.stat(full).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        with open(full, "rb") as file:
            # As the names of files are: what is written here are such names.
            return os.fsdecode(file.read())

    def written_at(self, path: str) -> int:
        """Return when a file was last written, in nanoseconds since 1970; 0 for what is no file."""
        try:
            found = os.stat(self.full(path))
        except (OSError, ValueError):
            return 0
        return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else 0

    def changed_since(self, path: str, time_: int) -> bool:
        """Return whether what is at a path may have changed since a time, see ``kernel_time``."""
        try:
            return _last_change(_looks(os.stat(self.full(path))), kernel_time()) >= time_
        except (OSError, ValueError):
            return True

    def versions(self, paths: Iterable[str]) -> list[Version]:
        """Return paths with their digests."""
        return [(path, self.digest(path)) for path in paths]

    def expand(self, declarations: Iterable[str], memory: dict[str, list[str]] | None = None) -> list[str]:
        """Return the paths that declarations stand for, each once: files, and folders with all that is in them.

        ``memory``: keeps what each declaration stands for, as long as nothing changes.
        """
        memory = {} if memory is None else memory
        found: dict[str, None] = {}
        for declaration in declarations:
            if declaration not in memory:
                memory[declaration] = list(self._paths(declaration))
            found.update(dict.fromkeys(memory[declaration]))
        return list(found)

    def _paths(self, declaration: str) -> Iterator[str]:
        """Yield the paths that a declaration stands for, perhaps with repetitions."""
        if is_pattern(declaration):
            yield from self._fitting(declaration)
            if not os.path.lexists(self.full(declaration)):
                return
        yield declaration
        if os.path.isdir(self.full(declaration)):
            yield from self._inside(declaration)

    def _fitting(self, declaration: str) -> Iterator[str]:
        """Yield all that fits a pattern and is no folder."""
        pattern = Pattern(declaration)
        folders = [pattern.beginning]
        while folders:
            folder, positions = folders.pop()
            for entry in self._entries(folder or "."):
                path = f"{folder}{entry.name}"
                is_folder = entry.is_dir(follow_symlinks=False)
                goes_on = True
                if entry.is_symlink() and os.path.isdir(entry.path):
                    is_folder, goes_on = True, not _leads_round(entry.path)
                after = pattern.after(positions, entry.name, any_folder=goes_on)
                if is_folder and after:
                    folders.append((f"{path}/", after))
                elif pattern.is_end(after):
                    yield path

    def _inside(self, folder: str) -> Iterator[str]:
        """Yield all that is in a folder and its folders, but for journals. Links to folders are not followed."""
        folders = ["" if folder == "." else f"{folder}/"]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder or "."):
                if entry.name == JOURNALS:
                    continue
                path = f"{folder}{entry.name}"
                yield path
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what is in a folder, sorted. Nothing is in a folder that is gone meanwhile, or closed to this user."""
        try:
            with os.scandir(self.full(folder)) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (OSError, ValueError):
            return []

    def _without_target(self, full: str) -> str:
        """Return the digest of a path that leads to no file: a link that leads nowhere is not nothing."""
        with suppress(OSError, ValueError):
            return f"link {os.fsencode(os.readlink(full)).hex()}"
        return ABSENT

    def _special(self, full: str, mode: int) -> str:
        """Return the digest of a path that is no regular file, which is not read: a pipe could be read only once."""
        if not stat.S_ISDIR(mode):
            return f"special {stat.S_IFMT(mode):o}"
        with suppress(OSError):
            return f"folder {os.fsencode(os.readlink(full)).hex()}"
        return FOLDER


def _leads_round(link: str) -> bool:
    """Return whether a link to a folder, by its absolute path, lies in that folder, perhaps by way of other links."""
    target = os.path.join(os.path.realpath(link), "")
    return any(os.path.join(os.path.realpath(folder), "").startswith(target) for folder in folders_around(link))


def _looks(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def kernel_time() -> int:
    """Return the time by the clock that the kernel stamps files with, in nanoseconds since 1970."""
    clock = getattr(time, "CLOCK_REALTIME_COARSE", None)
    # macOS stamps files by the usual clock. Python has no name for the coarse clock: it is number 5 on Linux.
    if clock is None and hasattr(time, "CLOCK_BOOTTIME"):
        clock = 5
    return time.time_ns() if clock is None else time.clock_gettime_ns(clock)


def _last_change(looks: tuple[int, int, int, int], now: int) -> int:
    """Return the latest time at which a file may have changed, given how it looks. A later change may look the same.

    ``now``: a time of modification after it was set by a program, and is no time of a change.
    """
    _size, mtime, ctime, _inode = looks
    changed = ctime if mtime > now else max(mtime, ctime)
    # A file system that keeps no fractions of seconds.
    return changed + (_COARSE if not ctime % _SECOND else 0)

"""What is in files: digests, each kept as long as the file looks the same.

Knows the file system. Does not know tasks.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b

from fastrun.uptodate.declared import is_pattern
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
        self.news: dict[str, Seen] = {}

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
            digest = _digest(descriptor)
            if looks == _looks(os.fstat(descriptor)) and _last_change(looks, now) < now:
                self.news[path] = Seen(*looks, digest)
            else:
                self.news.pop(path, None)
        except OSError:
            return UNREADABLE
        finally:
            os.close(descriptor)
        return digest

    def written_at(self, path: str) -> int:
        """Return when a file was last written, in nanoseconds since 1970; 0 for a folder, or if there is nothing."""
        try:
            found = os.stat(self.full(path))
        except (OSError, ValueError):
            return 0
        return 0 if stat.S_ISDIR(found.st_mode) else found.st_mtime_ns

    def changed_since(self, path: str, time_: int) -> bool:
        """Return whether what is at a path may have changed since a time, see ``kernel_time``."""
        try:
            return _last_change(_looks(os.stat(self.full(path))), kernel_time()) >= time_
        except (OSError, ValueError):
            return True

    def versions(self, paths: Iterable[str]) -> list[Version]:
        """Return paths with their digests."""
        return [(path, self.digest(path)) for path in paths]

    def expand(self, declarations: Iterable[str]) -> list[str]:
        """Return the paths that declarations stand for, each once: files, and folders with all that is in them."""
        found: dict[str, None] = {}
        for declaration in declarations:
            if is_pattern(declaration):
                found.update(dict.fromkeys(self._fitting(declaration)))
            else:
                found[declaration] = None
                if os.path.isdir(self.full(declaration)):
                    found.update(dict.fromkeys(self._inside(declaration)))
        return list(found)

    def _fitting(self, pattern: str) -> Iterator[str]:
        """Yield the files that fit a pattern, sorted."""
        from glob import glob  # few documents have patterns

        for path in sorted(glob(pattern, root_dir=self.folder, recursive=True)):
            if not os.path.isdir(self.full(path)):
                yield path

    def _inside(self, folder: str) -> Iterator[str]:
        """Yield all that is in a folder and its folders, sorted. Links to folders are not followed."""
        folders = [folder]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.full(folder)) as entries:
                    inside = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
            except OSError:
                # Gone meanwhile, or closed to this user: its path tells.
                continue
            for name, is_folder in inside:
                path = name if folder == "." else f"{folder}/{name}"
                yield path
                if is_folder:
                    folders.append(path)

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


def _looks(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _digest(descriptor: int) -> str:
    content = blake2b(digest_size=16)
    while piece := os.read(descriptor, _PIECE):
        content.update(piece)
    return content.hexdigest()


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

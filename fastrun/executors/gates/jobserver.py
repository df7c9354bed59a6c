"""Job slots that are shared with make, ninja and cargo, by the protocol of GNU make's jobserver.

A pipe holds a byte for each command that may run beside the first ones. A program takes a byte to start one more
command, and writes the same byte back when the command has ended. The first command of each program needs none,
because the program itself was started on one. Source: "POSIX Jobserver Interaction" in the manual of GNU make.

Knows pipes and the variable MAKEFLAGS; not what a command is.
"""

import asyncio
import fcntl
import os
import re
import stat
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.table import TOKEN
from fastrun.executors.limits import processors
from fastrun.executors.scratch import scratch_folder
from fastrun.protocols import Events

# Most tokens: every pipe has room for so many bytes.
_MOST_TOKENS = 4096

_TOKEN = b"+"

# A word ends with a blank that is not escaped. Behind a lone "--" are variables.
_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_AUTH = re.compile(r"--jobserver-(?:auth|fds)=(.*)", re.DOTALL)
_OURS = re.compile(r"-j\d*|--jobs(=.*)?|--jobserver-(auth|fds|style)=.*", re.DOTALL)
_PLAIN_PATH = re.compile(r"[\w/.+@%,:-]+", re.ASCII)


class Auth(NamedTuple):
    """Where job slots are: the path of a fifo, or two descriptors. Negative ones are not for this process."""

    path: str | None
    read: int = -1
    write: int = -1


def parse_auth(flags: str) -> Auth | None:
    """Return the jobserver that MAKEFLAGS names, the last one if it names several."""
    found = None
    for word in _options(flags):
        value = _AUTH.fullmatch(word)
        if value is None:
            continue
        if value[1].startswith("fifo:"):
            found = Auth(re.sub(r"\\(.)", r"\1", value[1].removeprefix("fifo:")))
        elif numbers := re.fullmatch(r"(-?\d{1,9}),(-?\d{1,9})", value[1]):
            found = Auth(None, int(numbers[1]), int(numbers[2]))
    return found


def with_jobserver(flags: str, jobs: int, auth: str) -> str:
    """Return MAKEFLAGS with another jobserver, and all other options and variables that are in them."""
    kept = []
    is_number = False
    for word in _options(flags):
        # "-j 8" is two words.
        if not (is_number and word.isdigit()) and not _OURS.fullmatch(word):
            kept.append(word)
        is_number = word in ("-j", "--jobs")
    # The first word holds letters, unless it begins with "-".
    letters = kept.pop(0) if kept and not kept[0].startswith("-") else ""
    variables = _words(flags)[len(_options(flags)) :]
    return " ".join([letters, *kept, f"-j{jobs}", f"--jobserver-auth={auth}", *variables])


def _options(flags: str) -> list[str]:
    words = _words(flags)
    return words[: words.index("--")] if "--" in words else words


def _words(flags: str) -> list[str]:
    return _WORD.findall(flags)


def reads_fifos(version: str) -> bool:
    """Return whether a make can use a fifo, by what it says to ``--version``: GNU make before 4.4 fails with one."""
    found = re.match(r"GNU Make (\d+)\.(\d+)", version)
    return found is None or (int(found[1]), int(found[2])) >= (4, 4)


def join_or_serve(
    flags: str,
    guardian: Guardian,
    jobs: int | None,
    style: str | None,
    warn: Callable[[str], None],
) -> "Jobserver | None":
    """Return the jobserver that MAKEFLAGS names unless ``jobs`` is given; else one of our own if a style is given.

    Raises ValueError if that cannot be made.
    """
    auth = parse_auth(flags)
    if auth is not None and jobs is not None:
        # As make does.
        warn(f"-j {jobs} is given: the job slots of the make above are not used")
    elif auth is not None:
        try:
            return Jobserver(*open_auth(auth), guardian)
        except OSError as error:
            warn(f"the job slots of the make above cannot be used: {error.strerror}")
    if style is None:
        return None
    try:
        return Server(flags, jobs or processors(), style, guardian)
    except OSError as error:
        raise ValueError(f"cannot make a jobserver: {error.strerror}") from None


def open_auth(auth: Auth) -> tuple[int, int]:
    """Return descriptors of our own, not blocking, to read and to write tokens. Raises OSError."""
    if auth.path is not None:
        read_path = write_path = auth.path
    else:
        _check_pipe(auth)
        # Opened anew: all processes that share a descriptor share whether it blocks.
        read_path, write_path = (f"/proc/self/fd/{descriptor}" for descriptor in (auth.read, auth.write))
    try:
        reader = os.open(read_path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {read_path}") from None
    try:
        if not stat.S_ISFIFO(os.fstat(reader).st_mode):
            raise OSError(0, f"not a fifo: {read_path}")
        return reader, os.open(write_path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        os.close(reader)
        raise


def _check_pipe(auth: Auth) -> None:
    """Raise OSError unless both descriptors are the same pipe, inherited from the parent.

    If make closed them, files of this process may have their numbers by now.
    """
    try:
        found = [os.fstat(descriptor) for descriptor in (auth.read, auth.write)]
        theirs = all(os.get_inheritable(descriptor) for descriptor in (auth.read, auth.write))
    except OSError:
        theirs = False
    if not theirs or not stat.S_ISFIFO(found[0].st_mode) or not os.path.samestat(*found):
        raise OSError(0, "they are not open; begin the line of the recipe with '+'")


class Jobserver:
    """A gate that takes part in a jobserver. ``environment``: variables that commands need to take part as well."""

    name = "jobserver"

    def __init__(self, reader: int, writer: int, guardian: Guardian) -> None:
        """``reader``, ``writer``: not blocking, closed at the end. ``guardian``: gives tokens back after a kill."""
        self._reader = reader
        self._writer = writer
        self._table = guardian.table
        guardian.tokens_go_to = writer
        self.environment: dict[str, str] = {}
        # The tokens that were taken, each with its row in the guardian's table.
        self._tokens: list[tuple[bytes, int]] = []
        self._waiting = False
        self._warned = False
        self._closed = False

    def open(self, events: Events, on_change: Callable[[], None]) -> None:
        """Begin, inside the running loop."""
        self._events = events
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()

    def take(self, running: int) -> bool:
        """Take a token, unless there is one to spare. If there is none, wait until one is given back."""
        if running <= len(self._tokens):
            return True
        try:
            token = os.read(self._reader, 1)
            if token:
                self._tokens.append((token, self._table.add(TOKEN, token[0], "")))
            else:
                self._failed("the pipe has no other end")
            return bool(token)
        except BlockingIOError:
            self._wait()
        except OSError as error:
            self._failed(error.strerror)
        return False

    def settle(self, running: int, lingering: int) -> None:  # noqa: ARG002
        """Give back the tokens that are not needed: each command but the first needs one."""
        while len(self._tokens) > max(running - 1, 0):
            token, row = self._tokens.pop()
            # The pipe cannot be full: it holds no more than at the beginning.
            with suppress(OSError):
                os.write(self._writer, token)
            self._table.remove(row)

    def close(self) -> None:
        """Give back all tokens and the descriptors."""
        if self._closed:
            return
        self._closed = True
        self.settle(0, 0)
        self._stop_waiting()
        os.close(self._reader)
        os.close(self._writer)

    def _wait(self) -> None:
        """Have ``on_change`` called once there may be a token."""
        if not self._waiting:
            self._loop.add_reader(self._reader, self._readable)
            self._waiting = True

    def _readable(self) -> None:
        self._stop_waiting()
        self._on_change()

    def _stop_waiting(self) -> None:
        # The reader is not left on: the loop would call it again and again for a token that is not taken.
        if self._waiting:
            self._waiting = False
            with suppress(RuntimeError):
                # The loop is closed if the run was broken off.
                self._loop.remove_reader(self._reader)

    def _failed(self, cause: str | None) -> None:
        """Warn, once, that from now on a command starts only while no other runs."""
        if not self._warned:
            self._warned = True
            self._events.warning(f"no more job slots ({cause}): from now on one command runs at a time")


class Server(Jobserver):
    """A jobserver of our own, for all commands that may run at once, of this run and of programs that it starts."""

    def __init__(self, flags: str, jobs: int, style: str, guardian: Guardian) -> None:
        """``flags``: MAKEFLAGS as they are. ``style``: one of JOBSERVERS. Raises ValueError or OSError."""
        if jobs > _MOST_TOKENS:
            raise ValueError(f"a jobserver is for {_MOST_TOKENS} commands at most, not {jobs}")
        if style == "auto":
            style = "fifo" if reads_fifos(_version_of_make()) else "pipe"
        self._count = jobs - 1
        self._folder = _private_folder()
        self._path = os.path.join(self._folder, "jobserver")
        # Descriptors for programs that know no fifos.
        self._inherited: list[int] = []
        try:
            os.mkfifo(self._path, 0o600)
            super().__init__(*open_auth(Auth(self._path)), guardian)
        except OSError:
            self._remove()
            raise
        try:
            os.write(self._writer, _TOKEN * self._count)
            if style == "pipe":
                for mode in (os.O_RDONLY, os.O_WRONLY):
                    self._inherited.append(os.open(self._path, mode))
                    os.set_inheritable(self._inherited[-1], True)
        except OSError:
            self.close()
            raise
        auth = ",".join(map(str, self._inherited)) or f"fifo:{self._path}"
        self.environment = {"MAKEFLAGS": with_jobserver(flags, jobs, auth)}

    def settle(self, running: int, lingering: int) -> None:
        """As above. When no process is left that could have a token, replace those of programs that were killed."""
        super().settle(running, lingering)
        if not (running or lingering or self._closed):
            with suppress(OSError):
                there = int.from_bytes(fcntl.ioctl(self._reader, termios.FIONREAD, bytes(4)), sys.byteorder)
                os.write(self._writer, _TOKEN * (self._count - there))
                # A process that had left its group has given back a token that was replaced already.
                os.read(self._reader, max(there - self._count, 0))

    def close(self) -> None:
        """Give everything back, and remove the files."""
        super().close()
        self._remove()

    def _remove(self) -> None:
        while self._inherited:
            os.close(self._inherited.pop())
        with suppress(OSError):
            os.unlink(self._path)
        with suppress(OSError):
            os.rmdir(self._folder)


def _private_folder() -> str:
    """Return a new private folder with a path that needs no quotes in MAKEFLAGS. Raises OSError."""
    parent = scratch_folder()
    return tempfile.mkdtemp(prefix="fastrun-", dir=parent if _PLAIN_PATH.fullmatch(parent) else "/tmp")  # noqa: S108


def _version_of_make() -> str:
    command = ["make", "--version"]
    try:
        return subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    except OSError:
        return ""

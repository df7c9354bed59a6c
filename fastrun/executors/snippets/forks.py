"""Copies of this process that snippets fork off: they begin as plain Python does, and are ended with the run.

A fork copies the thread that calls it, with fastrun's signal handlers and locks. Knows the present program; not what
the copy does.
"""

import _imp
import importlib
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from typing import Any, BinaryIO

from fastrun.executors.guardian.marks import encode_name
from fastrun.executors.guardian.proc import Identity, start_time
from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.descriptors import duplicate, forget
from fastrun.executors.snippets.modules import ignore_threads_at_forks
from fastrun.executors.snippets.program import Parents, Program, Shared
from fastrun.executors.snippets.streams import write_descriptor

# The signals that a run handles, see ``runner.signals``.
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)

# By thread that forks, the signals that it blocked before.
_blocked: dict[int, set[int | signal.Signals]] = {}


# Most seconds for which a fork and the starts of programs wait for each other: a disk may not answer.
_MOMENT = 1.0


class Starts:
    """Keeps a snippet's fork out of the moments in which other snippets start programs, and these out of it.

    ``subprocess`` waits for the end of a pipe until the program runs. A copy that is forked off in that moment holds
    the pipe too, as long as it lives.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The threads that start a program, and how many fork.
        self._starting: list[int] = []
        self._forking = 0

    def begin_program(self) -> None:
        """Note that this thread starts a program."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking, _MOMENT)
            self._starting.append(threading.get_ident())

    def end_program(self) -> None:
        """Note that the program runs, or could not be started."""
        with self._changed:
            self._starting.remove(threading.get_ident())
            self._changed.notify_all()

    def begin_fork(self) -> None:
        """Note that this thread forks, be it to start a program with ``preexec_fn``."""
        with self._changed:
            if threading.get_ident() not in self._starting:
                self._changed.wait_for(lambda: not self._starting, _MOMENT)
            self._forking += 1

    def end_fork(self) -> None:
        """Note that it has forked."""
        with self._changed:
            self._forking -= 1
            self._changed.notify_all()


_starts = Starts()


def start_program(original: Callable[..., None]) -> Callable[..., None]:
    """Return ``Popen._execute_child`` as snippets have it: no copy is forked off meanwhile."""

    def execute_child(*arguments: Any) -> None:
        if PRESENT.program is None:
            original(*arguments)
            return
        starts = _starts
        starts.begin_program()
        try:
            original(*arguments)
        finally:
            starts.end_program()

    return execute_child


class Copies:
    """The copies that a run's snippets made. Each copy adds itself, and so do the copies of copies.

    Each inherits one end of a pipe. A copy that was killed may have made another just before, which has not added
    itself yet: it holds that end.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        # The ends of the pipe that this process has.
        self._reader = self._writer = -1
        self._opening = threading.Lock()

    def open(self) -> None:
        """Prepare for the first copy. The copies inherit the descriptors, the programs that they become do not."""
        if self._file is not None:
            return
        from fastrun.executors.scratch import unnamed_file  # which most runs never need

        with self._opening:
            # Another thread may have been here meanwhile, and made a copy that has added itself.
            if self._file is None:
                if self._reader < 0:
                    self._reader, self._writer = _pipe()
                with unnamed_file("fastrun-copies") as made:
                    self._file = open(duplicate(made.fileno()), "ab+", buffering=0)  # noqa: SIM115  # closed with the run

    def add(self, name: str) -> None:
        """Add this process, a copy made by the task ``name``."""
        if self._file is not None:
            own = os.getpid()
            self._file.write(b"%d %d %s\n" % (own, start_time(own), encode_name(name).hex().encode()))

    def living(self) -> Iterator[tuple[Identity, bytes]]:
        """Yield each copy that has not ended, and its task as ``marks.encode_name`` writes it."""
        if self._file is not None:
            size = os.fstat(self._file.fileno()).st_size
            for line in os.pread(self._file.fileno(), size, 0).splitlines():
                # A snippet that has closed descriptors may have written into the file.
                entry = re.fullmatch(rb"(\d+) (\d+) ([0-9a-f]*)", line)
                if entry and (copy := Identity(int(entry[1]), int(entry[2]))).lives():
                    yield copy, bytes.fromhex(entry[3].decode())

    def may_come(self) -> bool:
        """Return whether a copy has the end of the pipe, added or not. From now on this process makes no copy."""
        self._writer = _closed(self._writer)
        if self._reader < 0:
            return False
        ends = select.poll()
        ends.register(self._reader, 0)
        return not ends.poll(0)

    def close(self) -> None:
        """Forget them."""
        self._reader, self._writer = _closed(self._reader), _closed(self._writer)
        if self._file is not None:
            self._file.close()
            self._file = None


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    try:
        return duplicate(reader), duplicate(writer)
    finally:
        os.close(reader)
        os.close(writer)


def _closed(descriptor: int) -> int:
    """Close a descriptor, if it is one and no snippet has. Return -1."""
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)
    return -1


def _before() -> None:
    program: Program | None = PRESENT.program
    if program is not None:
        program.shared.copies.open()
        ignore_threads_at_forks()
        program.shared.parents.begin(program)
        _starts.begin_fork()
        # A signal that reached the copy before it has its own handlers would be lost.
        _blocked[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        # A fork takes it after the lock of ``logging``. A thread that imports has it already, and takes that of
        # ``logging`` if a collection then finalizes what logs: each would wait for the other.
        _imp.acquire_lock()


def _after_in_parent() -> None:
    program: Program | None = PRESENT.program
    if program is not None and _unblock():
        _imp.release_lock()
        _starts.end_fork()
        program.shared.parents.end()


def _unblock() -> bool:
    """Put back the signals that this thread blocked before. Return False if ``_before`` has failed."""
    blocked = _blocked.pop(threading.get_ident(), None)
    if blocked is None:
        return False
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return True


def _after_in_child() -> None:
    program: Program | None = PRESENT.program
    if program is None:
        return
    try:
        interruptible = _begin_copy(program)
    finally:
        # A signal that has come meanwhile ends the copy here. A KeyboardInterrupt would be lost: hooks raise nothing.
        _unblock()
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _begin_copy(program: Program) -> bool:
    """Give a copy what a program of its own has. Return whether SIGINT is to interrupt it."""
    # From Python 3.13 on a copy has it no more.
    with suppress(RuntimeError):
        _imp.release_lock()
    signal.set_wakeup_fd(-1)
    interruptible = callable(signal.getsignal(signal.SIGINT))
    for number in _HANDLED:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    global _starts
    _starts = Starts()
    # It may close them for good.
    forget()
    copies = program.shared.copies
    program.shared = Shared(write_descriptor, program.shared.marks, copies, Parents())
    program.is_copy = True
    program.threaded = False
    program.children = program.finalizers = None
    _renew_locks()
    _forget_pools()
    _forget_imports_of_others()
    # Last: it fails if the snippet has closed the file.
    copies.add(program.task.name)
    return interruptible


# Locks of Python's library that another snippet may hold at the moment of a fork: a copy would wait for ever. Others,
# those of ``logging`` for example, are made new by their own modules.
_LOCKS = (
    ("tempfile", "_once_lock"),
    ("_strptime", "_cache_lock"),
    ("sysconfig", "_CONFIG_VARS_LOCK"),
    ("asyncio.events", "_lock"),
    ("asyncio.mixins", "_global_lock"),
    ("multiprocessing.resource_tracker", "_resource_tracker._lock"),
)


def _renew_locks() -> None:
    for module, name in _LOCKS:
        with suppress(KeyError, AttributeError):
            attrgetter(f"{name}._at_fork_reinit")(sys.modules[module])()


def _forget_pools() -> None:
    """Have ``concurrent.futures`` wake no pool at the copy's end: the lock of another snippet's may have been held."""
    with suppress(KeyError, AttributeError):
        sys.modules["concurrent.futures.process"]._threads_wakeups.clear()  # noqa: SLF001


def _forget_imports_of_others() -> None:
    """Have modules imported anew that another thread was importing, which does not go on in a copy."""
    locks = importlib._bootstrap._module_locks  # type: ignore[attr-defined]  # noqa: SLF001
    for name, reference in list(locks.items()):
        lock = reference()
        if lock is not None and lock.owner not in (None, threading.get_ident()):
            del locks[name]
            sys.modules.pop(name, None)


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

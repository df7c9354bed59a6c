"""Everything that is read of /proc/PID: identities, states and environments of processes.

Knows files of Linux. Does not know which process is of interest, nor what is done to one.
"""

import functools
import os
import signal
import time
from contextlib import suppress
from typing import NamedTuple

# The flags of a thread that dies of a signal, and of one that is in the middle of exit(2). The first is set as soon as
# the signal is no longer pending. Source: PF_SIGNALED and PF_EXITING in Linux' include/linux/sched.h, get_signal in
# kernel/signal.c.
_DYING = 0x400 | 0x4

# The bit of SIGKILL among pending signals. The kernel sets it for every thread as soon as a signal is sent of which
# the process will die, whichever signal that is. Source: complete_signal in Linux' kernel/signal.c.
_KILL_PENDING = 1 << (signal.SIGKILL - 1)

# The signals that a process blocks which blocks all, of the first 31. The C library does so for the first moments of a
# child. Source: __abort_lock_wrlock in sysdeps/generic/internal-signals.h of glibc, from 2.41 on.
_ALL_BLOCKED = 0x7FFFFFFF & ~_KILL_PENDING & ~(1 << (signal.SIGSTOP - 1))

# Bytes of a first read of an environment: more than almost every environment has.
_CHUNK = 1 << 16

# Most looks at a process that is about to have an environment, or to take signals, and seconds between two of them.
_LOOKS = 400
_PAUSE = 0.0005


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that are of use, under the kernel's names. Source: proc_pid_stat(5).

    ``starttime``: in clock ticks since the boot. ``signal``, ``blocked``: a bit for each pending and blocked signal.
    ``env_start``, ``env_end``: 0 for processes that may not be looked into.
    """

    state: bytes
    pgrp: int
    session: int
    flags: int
    num_threads: int
    starttime: int
    signal: int
    blocked: int
    env_start: int
    env_end: int

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, and closed its files.

        A process whose first thread has ended before the others looks like a zombie, and has more threads than one.
        """
        return self.state in (b"Z", b"X") and self.num_threads < 2


class Identity(NamedTuple):
    """What tells a process from all others of a boot: its number, and when it started, see ``Stat.starttime``."""

    pid: int
    start: int

    def lives(self) -> bool:
        """Return whether the process has not ended. Without a start that is known only of children of this process."""
        return start_time(self.pid) == self.start if self.start else _is_living_child(self.pid)


def _is_living_child(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def process_ids() -> list[int]:
    """Return the numbers of all processes that may be seen; none where there is no /proc, or that of other numbers."""
    if not _is_ours(os.getpid()):
        return []
    try:
        return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]
    except OSError:
        return []


def last_process_id() -> int:
    """Return the number that a process or thread got last; 0 where that is not told. Source: proc_loadavg(5)."""
    if not _is_ours(os.getpid()):
        return 0
    try:
        with open("/proc/loadavg", "rb") as file:
            return int(file.read().split()[-1])
    except (OSError, ValueError, IndexError):
        return 0


def is_thread(number: int) -> bool:
    """Return whether a number is that of a living thread beside the first of its process. No listing has these."""
    try:
        with open(f"/proc/{number}/status", "rb") as file:
            return file.read().partition(b"Tgid:\t")[2].partition(b"\n")[0] != b"%d" % number
    except OSError:
        return False


@functools.cache
def _is_ours(own: int) -> bool:
    """Return whether /proc has processes under the numbers that they have for this one, whose number is ``own``.

    A container may have been given the machine's.
    """
    try:
        return os.readlink("/proc/self") == str(own)
    except OSError:
        return False


def read_stat(process: int | str) -> Stat | None:
    """Return what /proc says of a process or thread, None if there is none that may be seen.

    ``process``: its id; of a thread ``PID/task/TID``.
    """
    if not _is_ours(os.getpid()):
        return None
    try:
        with open(f"/proc/{process}/stat", "rb", buffering=0) as file:
            # The name, in parentheses, may hold anything. Behind it stand the fields from the third on.
            fields = file.read().rpartition(b")")[2].split()
        state, group, session = fields[0], int(fields[2]), int(fields[3])
        numbers = int(fields[6]), int(fields[17]), int(fields[19]), int(fields[28]), int(fields[29])
        environment = int(fields[47]), int(fields[48])
    except (OSError, IndexError):
        return None
    return Stat(state, group, session, *numbers, *environment)


def memory_of_sessions(folder: str = "/proc") -> dict[int, int]:
    """Return by session the bytes that its processes have in memory. Pages that several of them share count for each.

    ``folder``: where proc is mounted. Processes that may not be seen are left out.
    """
    found: dict[int, int] = {}
    try:
        entries = os.listdir(folder)
    except OSError:
        return found
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in entries:
        if not entry.isdecimal():
            continue
        with suppress(OSError, IndexError), open(f"{folder}/{entry}/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b")")[2].split()
            session = int(fields[3])
            found[session] = found.get(session, 0) + int(fields[21]) * page
    return found


def start_time(pid: int) -> int:
    """Return when a process started, see ``Stat.starttime``; 0 if it does not live."""
    found = read_stat(pid)
    return 0 if found is None or found.has_ended else found.starttime


def goes_on(pid: int) -> bool:
    """Return whether a process lives and is not dying.

    A process is dying from the moment on in which a deadly signal was sent to it, and runs no code of its own any more.
    Its state does not tell: giving back much memory may take a tenth of a second, and only then are its files closed.

    It is looked at twice: between the signal and the exit there is a moment in which it looks like any other.
    """
    return _goes_on(pid) and _goes_on(pid)


def _goes_on(pid: int) -> bool:
    found = read_stat(pid)
    looks_left = _LOOKS
    while found is not None and found.blocked == _ALL_BLOCKED and looks_left:
        # A signal that it got already may be deadly, and does nothing yet.
        looks_left -= 1
        time.sleep(_PAUSE)
        found = read_stat(pid)
    if found is None or found.has_ended:
        return False
    if found.num_threads < 2:
        return not _is_dying(found)
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    # Each thread ends by itself, the first one maybe long before the others.
    stats = (read_stat(f"{pid}/task/{thread}") for thread in threads)
    return any(not _is_dying(stat) for stat in stats if stat is not None)


def _is_dying(thread: Stat) -> bool:
    return bool(thread.flags & _DYING or thread.signal & _KILL_PENDING)


def file_identity(pid: int, descriptor: int) -> tuple[int, int] | None:
    """Return device and inode of the file behind a descriptor of a process, None if there is none."""
    try:
        found = os.stat(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def environment(pid: int) -> bytes:
    """Return the environment that a process was started with, ``NAME=value``, each with a NUL behind it.

    Empty for a process that has ended or may not be looked into. Waits for a process that is just becoming another
    program.
    """
    try:
        data = _environment(pid)
        looks_left = _LOOKS
        while not data and looks_left and not _has_none(pid):
            looks_left -= 1
            time.sleep(_PAUSE)
            data = _environment(pid)
    except PermissionError:
        return b""
    except OSError:
        data = b""
    return data or _environment_of_threads(pid)


def own_environment() -> bytes:
    """Return the environment that this process was started with, in the same form; empty where there is no /proc."""
    try:
        return _environment("self")
    except OSError:
        return b""


def _environment(process: int | str) -> bytes:
    descriptor = os.open(f"/proc/{process}/environ", os.O_RDONLY)
    try:
        # Unbuffered, and one read for most: a fifth less than a file object.
        data = os.read(descriptor, _CHUNK)
        if len(data) == _CHUNK:
            while more := os.read(descriptor, _CHUNK):
                data += more
    finally:
        os.close(descriptor)
    return data


def _environment_of_threads(pid: int) -> bytes:
    """Return the environment of a process whose first thread has ended before the others, and so has none itself."""
    folder = f"/proc/{pid}/task"
    try:
        # Two links as any folder, and one for each thread.
        if os.stat(folder).st_nlink < 4:
            return b""
        threads = os.listdir(folder)
    except OSError:
        return b""
    for thread in threads:
        with suppress(OSError):
            if data := _environment(f"{pid}/task/{thread}"):
                return data
    return b""


def _has_none(pid: int) -> bool:
    """Return whether a process has no environment at all. In the middle of execve(2) it has none yet: False.

    That lasts half a millisecond, or long where other processes have the processors. Source: environ_read,
    do_task_stat and do_proc_exe_link in Linux' fs/proc, create_elf_tables in fs/binfmt_elf.c.
    """
    try:
        # Processes without memory have no program: those that have ended, and the kernel's threads, of which there are
        # many. A session of 0 would not tell: processes that came into a container from outside have it as well.
        os.readlink(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return True
    found = read_stat(pid)
    if found is None:
        return True
    if not found.env_start or found.env_start != found.env_end:
        return False
    # It begins where it ends, as it does for a moment just before it is there. A process in that moment runs, or waits
    # for a page, however long others have the processors; a process that sleeps is not in it.
    return found.state not in (b"R", b"D")

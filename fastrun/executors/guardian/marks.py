"""The mark that a run's commands carry in their environment, and the processes that have it.

What a command starts inherits the mark, whatever session it moves to and whoever becomes its parent. Knows /proc;
not who started a process, nor what is to become of it.
"""

import os
import time
from contextlib import suppress

# The variables: which run, which part of it, which of its tasks, and whether the process may outlive the run.
RUN_ID = b"FASTRUN_RUN_ID"
PART = b"FASTRUN_PART"
TASK = b"FASTRUN_TASK"
DETACH = b"FASTRUN_DETACH"

# More than almost every environment takes.
_CHUNK = 1 << 16

# At who is about to have an environment, and seconds between them.
_LOOKS = 200
_PAUSE = 0.0005

# Behind the state in /proc/PID/stat, which is field 3 there, as ``env_start`` is 50. Source: proc_pid_stat(5).
_ENV_START = 50 - 4


def process_ids() -> list[int]:
    """All processes that may be seen; none where there is no /proc."""
    try:
        return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]
    except OSError:
        return []


def variables(run_id: str) -> dict[bytes, bytes]:
    """What commands are marked with. ``run_id``: of a run, or ``RUN:PART`` for what one of several processes does."""
    run, _, part = run_id.encode().partition(b":")
    return {RUN_ID: run, PART: part} if part else {RUN_ID: run}


def mark(run_id: str) -> bytes:
    """What stands in the environment of a run's processes, or of those of a part of it."""
    # The last: the part, where there is one.
    return b"\0%s=%s\0" % list(variables(run_id).items())[-1]


def marked_environment(pid: int, wanted: bytes) -> bytes | None:
    """The environment that a process was started with, ``NAME=value`` between NULs, if the mark ``wanted`` is in it.

    None for all others, who has ended and who may not be looked at among them. Waits for one that is just becoming
    another program.
    """
    try:
        data = _environment(f"/proc/{pid}")
        looks_left = _LOOKS
        while not data and looks_left and not _has_none(pid):
            looks_left -= 1
            time.sleep(_PAUSE)
            data = _environment(f"/proc/{pid}")
    except PermissionError:
        return None
    except OSError:
        data = b""
    data = data or _environment_of_threads(pid)
    # The copy only for the few in which the first variable may be the mark.
    return b"\0" + data if wanted in data or data.startswith(wanted[1:]) else None


def _environment(folder: str) -> bytes:
    descriptor = os.open(f"{folder}/environ", os.O_RDONLY)
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
    """The environment of a process whose first thread has ended before the others, and which so has none itself."""
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
            if data := _environment(f"{folder}/{thread}"):
                return data
    return b""


def _has_none(pid: int) -> bool:
    """Whether a process has no environment, rather than not yet: in the middle of execve(2) its memory is empty.

    That lasts half a millisecond, or long where others have the processors. Source: environ_read, do_task_stat and
    do_proc_exe_link in Linux' fs/proc, create_elf_tables in fs/binfmt_elf.c.
    """
    try:
        # Those without memory have no program: who has ended, and the threads of the kernel, of which there are many.
        # A session of 0 would not tell: who has come into a container from outside has that as well.
        os.readlink(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return True
    for pause in (_PAUSE, 0):
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The name, in parentheses, may hold anything.
            _, *numbers = file.read().rpartition(b")")[2].split()
        if numbers[_ENV_START] == b"0" or numbers[_ENV_START] != numbers[_ENV_START + 1]:
            return False
        # It begins and ends at the same place, for a moment also when it is about to be there.
        time.sleep(pause)
    return True


def is_detached(environment: bytes) -> bool:
    """Whether a process with this environment may outlive the run."""
    return b"\0%s=1\0" % DETACH in environment


def marked_processes(run_id: str) -> list[tuple[int, str]]:
    """The processes of a run that live and are not detached: their ids, and the names of their tasks.

    A name is what ``FASTRUN_TASK`` says, which a command can change: not safe to be shown as it is. Costs some
    10 us for each process of the machine.
    """
    wanted = mark(run_id)
    found = []
    for pid in process_ids():
        environment = marked_environment(pid, wanted)
        if environment is not None and not is_detached(environment):
            label = environment.partition(b"\0%s=" % TASK)[2].partition(b"\0")[0]
            found.append((pid, label.decode("utf-8", "replace")))
    return found

"""The mark that a run's commands carry in their environment, and the processes that have it.

What a command starts inherits the mark, whatever session it moves to and whoever becomes its parent. Knows /proc;
not who started a process, nor what is to become of it.
"""

import os

# The variables: which run, which part of it, which of its tasks, and whether the process may outlive the run.
RUN_ID = b"FASTRUN_RUN_ID"
PART = b"FASTRUN_PART"
TASK = b"FASTRUN_TASK"
DETACH = b"FASTRUN_DETACH"

# More than almost every environment takes.
_CHUNK = 1 << 16


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

    None for all others: who has ended, who may not be looked at, and who is just being started, so that one
    look may miss a process.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
        try:
            # Unbuffered, and one read for most: a fifth less than a file object.
            data = os.read(descriptor, _CHUNK)
            if len(data) == _CHUNK:
                while more := os.read(descriptor, _CHUNK):
                    data += more
        finally:
            os.close(descriptor)
    except OSError:
        return None
    # The copy only for the few in which the first variable may be the mark.
    return b"\0" + data if wanted in data or data.startswith(wanted[1:]) else None


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

"""The mark that a run's commands carry in their environment, and the processes that have it.

What a command starts inherits the mark, whatever session it moves to and whatever process becomes its parent. Does not
know which process started another, nor what is to become of one.
"""

from collections.abc import Iterable, Iterator

from fastrun.executors.guardian.proc import Identity, environment, is_thread, last_process_id, process_ids, start_time

# The variables: which run, which part of it, which of its tasks, and whether the process may outlive the run.
RUN_ID = b"FASTRUN_RUN_ID"
PART = b"FASTRUN_PART"
TASK = b"FASTRUN_TASK"
DETACH = b"FASTRUN_DETACH"

# Most bytes of a task's name in its variable: the kernel's limit for one string (MAX_ARG_STRLEN), without what else is
# in it.
_LONGEST_NAME = (1 << 17) - len(TASK) - len("=\0")

# Most times in one look that numbers are asked for which are new. Where thousands of processes start each second there
# are always some. And the most such numbers that are tried one by one, in a time in which all processes can be listed.
_TIMES = 100
_NUMBERS = 1000

# What stands for a NUL, which no variable can hold: not valid in UTF-8, so that no other name has it.
_NUL = b"\xc0\x80"


def variables(run_id: str) -> dict[bytes, bytes]:
    """Return what commands are marked with. ``run_id``: of a run, or ``RUN:PART`` for a part of one."""
    run, _, part = run_id.encode().partition(b":")
    return {RUN_ID: run, PART: part} if part else {RUN_ID: run}


def encode_name(name: str) -> bytes:
    """Return what ``FASTRUN_TASK`` is for a task: its whole name, up to what a variable can hold.

    NUL becomes the two bytes that Java and Tcl write for it.
    """
    encoded = name.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        encoded = encoded.replace(b"\0", _NUL)
    return encoded if len(encoded) <= _LONGEST_NAME else encoded[:_LONGEST_NAME]


def decode_name(value: bytes) -> str:
    """Return the name that a value of ``FASTRUN_TASK`` says. A command can change it: not safe to be shown."""
    return value.replace(_NUL, b"\0").decode("utf-8", "replace")


def mark(run_id: str) -> bytes:
    """Return what stands in the environment of a run's processes, or of the processes of a part of it."""
    # The last: the part, where there is one.
    return b"\0%s=%s\0" % list(variables(run_id).items())[-1]


def marked_environment(pid: int, wanted: bytes) -> bytes | None:
    """Return a process's environment, ``NAME=value`` between NULs, if the mark ``wanted`` is in it.

    None for all others, among them processes that have ended or may not be looked into.
    """
    data = environment(pid)
    # The copy only for the few in which the first variable may be the mark.
    return b"\0" + data if wanted in data or data.startswith(wanted[1:]) else None


def is_detached(marked: bytes) -> bool:
    """Return whether a process with this environment may outlive the run."""
    return b"\0%s=1\0" % DETACH in marked


def marked_processes(run_id: str) -> list[tuple[Identity, bytes]]:
    """Return the processes of a run that live and are not detached, each with the value of its ``FASTRUN_TASK``.

    Costs some 10 us for each process of the machine.
    """
    wanted = mark(run_id)
    found: list[tuple[Identity, bytes]] = []
    for pids in listings():
        for pid in pids:
            marked = marked_environment(pid, wanted)
            if marked is not None and not is_detached(marked) and not is_thread(pid):
                start = start_time(pid)
                # Once more, for the number may have become another process's before its start was read.
                if start and marked_environment(pid, wanted) is not None:
                    found.append((Identity(pid, start), marked.partition(b"\0%s=" % TASK)[2].partition(b"\0")[0]))
        if found:
            break
    return found


def listings() -> Iterator[Iterable[int]]:
    """Yield the numbers of all processes, then those that processes may have got meanwhile, until there are none.

    One may have started another and ended, between the listing and the look at it.
    """
    last = last_process_id()
    yield process_ids()
    for _ in range(_TIMES):
        before, last = last, last_process_id()
        if last == before:
            return
        yield range(before + 1, last + 1) if before < last < before + _NUMBERS else process_ids()

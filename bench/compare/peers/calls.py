"""The floor for commands in Python: the system calls that fastrun makes for each command, in a bare loop.

Two pipes, a session, ``posix_spawn``, a pidfd in an epoll, and the imports of fastrun. Biased in its own favour: it has
no lines, report, signals, limits or checks, it reads output only after a command has ended, and the first failure ends
it. What it takes beyond other peers is the price of Python and of the calls. What fastrun takes beyond it is fastrun's
own.
"""

import os
import platform
import select
import sys
from functools import partial
from typing import Any

from bench.compare.peers import prepare_nothing, python_command, read_tasks

NAME = "the same calls in Python"
KNOWS_DEPENDENCIES = True
version = platform.python_version
prepare = prepare_nothing
command = partial(python_command, "calls")

# Most bytes per read.
_CHUNK = 1 << 16


def _start(command: str | list[str], null: int, environment: dict[bytes, bytes]) -> tuple[int, int, int]:
    """Start a command. Returns its pidfd and the reading ends of its pipes."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    actions = ((os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, out_end, 1), (os.POSIX_SPAWN_DUP2, err_end, 2))
    arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    pid = os.posix_spawn(arguments[0], arguments, environment, file_actions=actions, setsid=True, setsigdef=(13, 25))
    os.close(out_end)
    os.close(err_end)
    return os.pidfd_open(pid), out, err


def _end(pidfd: int, *pipes: int) -> None:
    """Read the output of a command and reap it. Raises RuntimeError if it failed."""
    for pipe in pipes:
        while os.read(pipe, _CHUNK):
            pass
        os.close(pipe)
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    if result is None or result.si_status:
        raise RuntimeError("a command failed")


def run(tasks: list[dict[str, Any]], jobs: int) -> None:
    """Run the commands, at most ``jobs`` at once."""
    dependents: dict[str, list[dict[str, Any]]] = {task["name"]: [] for task in tasks}
    waiting_on = {task["name"]: len(task.get("dependencies", ())) for task in tasks}
    for task in tasks:
        for name in task.get("dependencies", ()):
            dependents[name].append(task)
    ready = [task for task in reversed(tasks) if not waiting_on[task["name"]]]
    null = os.open(os.devnull, os.O_RDWR)
    environment = dict(os.environb)
    epoll = select.epoll()
    running: dict[int, tuple[str, int, int]] = {}
    while ready or running:
        while ready and len(running) < jobs:
            task = ready.pop()
            pidfd, out, err = _start(task["arguments"], null, environment)
            epoll.register(pidfd, select.EPOLLIN)
            running[pidfd] = task["name"], out, err
        for pidfd, _ in epoll.poll():
            name, out, err = running.pop(pidfd)
            _end(pidfd, out, err)
            epoll.unregister(pidfd)
            os.close(pidfd)
            for dependent in dependents[name]:
                waiting_on[dependent["name"]] -= 1
                if not waiting_on[dependent["name"]]:
                    ready.append(dependent)


def main() -> None:
    """Run the document that the command line names."""
    import asyncio  # noqa: F401  # the imports of fastrun
    from concurrent.futures import ThreadPoolExecutor

    import orjson  # noqa: F401
    import uvloop  # noqa: F401

    # In a fresh thread, as fastrun does it: Linux deprioritises a thread that has just used much CPU.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run, read_tasks(sys.argv[1]), int(sys.argv[2])).result()


if __name__ == "__main__":
    main()

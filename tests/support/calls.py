"""Run as a program: fastrun's command line again and again, in forks, with the Nth call of a kind failing, for every N.

With the native engine a call of C fails, in a build for that (``faults.h``), otherwise one of Python.

Injected: in a run that is small enough for every N no real limit can be put so that just one call meets it. Prints a
line of JSON for each N: its exit code, or null where it did not end.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL, c_int
from typing import Any

import uvloop  # noqa: F401  # loaded once for all copies

import fastrun.api
import fastrun.cli.main
import fastrun.journal.recovery
import fastrun.observers.terminal.console
from tests.support import engines

# Seconds after which a run hangs: the longest wait for something that is short is ten.
PATIENCE = 200.0

calls = 0

# The build whose calls of C fail.
BUILD = os.environ.get("FASTRUN_TEST_ENGINE")
library: CDLL | None = None

# What the environments of the test's own processes hold, see ``leftovers``.
OWN = os.fsencode(f"FASTRUN_TEST={os.environ.get('FASTRUN_TEST')}")


def is_foreign(descriptor: int) -> bool:
    """Whether a descriptor is open on the environment of another's process, of which a machine has any number."""
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if not path.endswith("/environ"):
        return False
    with suppress(OSError), open(path, "rb") as file:
        return OWN not in file.read().split(b"\0")
    return True


def failing(
    real: Callable[..., Any], nth: int, error: BaseException, passes: Callable[..., bool] = lambda *_: False
) -> Callable[..., Any]:
    """A function whose nth call fails. ``passes``: whether a call is let through and does not count."""

    def call(*arguments: Any, **options: Any) -> Any:
        global calls
        if passes(*arguments):
            return real(*arguments, **options)
        calls += 1
        if calls == nth:
            raise error
        return real(*arguments, **options)

    return call


def inject(kind: str, nth: int, code: int) -> None:
    """Have the nth call of a kind fail from now on, in this process."""
    if library is not None:
        library.fault_begin(kind.encode(), nth, 0, code)
        return
    if kind == "thread":
        # Ended before its first step: Python says so of every error but this one.
        setattr(threading.Thread, "_bootstrap", failing(threading.Thread._bootstrap, nth, SystemExit()))  # type: ignore[attr-defined]  # noqa: B010
        return
    error = OSError(code, os.strerror(code))
    if kind == "read":
        os.read = failing(os.read, nth, error, lambda descriptor, _: is_foreign(descriptor))
        return
    if not kind.startswith("epoll."):
        setattr(os, kind, failing(getattr(os, kind), nth, error))
        return
    real_epoll = select.epoll
    method = kind.removeprefix("epoll.")

    class Epoll:
        def __init__(self, *arguments: Any) -> None:
            self._epoll = real_epoll(*arguments)
            setattr(self, method, failing(getattr(self._epoll, method), nth, error))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._epoll, name)

    setattr(select, "epoll", Epoll)  # noqa: B010  # mypy


def run_once(folder: str, kind: str, nth: int, code: int) -> None:
    """Run the document in a folder of its own. The exit code says how it ended, 77 that there was no nth call."""
    os.setsid()
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    inject(kind, nth, code)
    status = fastrun.cli.main.main(["--journal", "j", "--grace", "0.2", "../tasks.json"])
    sys.stdout.flush()
    made = calls if library is None else c_int.in_dll(library, "fault_calls").value
    os._exit(77 if made < nth else status)


def main() -> None:
    """Arguments: the folder, the kind of call, the name of the error, at which N to begin and at which to end."""
    folder, kind, name, *bounds = sys.argv[1:]
    global library
    library = engines.use(BUILD) if BUILD else None
    code = getattr(errno, name)
    first, last = map(int, bounds)
    for nth in range(first, last):
        inner = os.path.join(folder, str(nth))
        os.mkdir(inner)
        pid = os.fork()
        if not pid:
            try:
                run_once(inner, kind, nth, code)
            finally:
                os._exit(99)
        end = time.monotonic() + PATIENCE
        status: int | None = None
        while time.monotonic() < end:
            done, raw = os.waitpid(pid, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(raw)
                break
            time.sleep(0.002)
        else:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        print(json.dumps([nth, status]), flush=True)
        if status == 77:
            return


if __name__ == "__main__":
    main()

"""Threads that snippets start: each belongs to its snippet, which waits for it and sees no others."""

import sys
import threading
from collections.abc import Callable
from typing import Any

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.program import OWNER, Program

# Before it is changed.
_all_threads = threading.enumerate


def living_threads(program: Program) -> list[threading.Thread]:
    """Return the threads of a program that a script would wait for at its end."""
    return [thread for thread in own_threads(program) if not thread.daemon and thread.is_alive()]


def own_threads(program: Program) -> list[threading.Thread]:
    """Return the threads that a program has started and that have not ended.

    Does not ask for ``__dict__``: with Python 3.11 the collector then crashed now and then, while threads started.
    """
    return [thread for thread in _all_threads() if getattr(thread, OWNER, None) is program]


def _main_thread(program: Program) -> threading.Thread:
    """Return the thread that runs the code of a program."""
    thread = threading.current_thread()
    # A program has other threads only after the first has started one.
    return program.thread or thread if hasattr(thread, OWNER) else thread


def start_thread(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """Return ``Thread.start`` as snippets have it: the thread belongs to the program that starts it."""

    def start(self: threading.Thread) -> None:
        program = PRESENT.program
        if program is None:
            original(self)
            return
        bootstrap = self._bootstrap  # type: ignore[attr-defined]

        def begin() -> None:
            PRESENT.program = program
            bootstrap()

        if program.thread is None:
            program.thread = threading.current_thread()
        program.threaded = program.touched = True
        setattr(self, OWNER, program)
        # Not ``run``: its frame would stand in tracebacks.
        self._bootstrap = begin  # type: ignore[attr-defined]
        try:
            original(self)
        finally:
            del self._bootstrap  # type: ignore[attr-defined]

    return start


def start_bare_thread(original: Callable[..., int]) -> Callable[..., int]:
    """Return ``_thread.start_new_thread`` as snippets have it."""

    def start_new_thread(function: Callable[..., object], /, *arguments: Any) -> int:
        program = PRESENT.program
        if program is None:
            return original(function, *arguments)

        def begin(*inner: Any, **keywords: Any) -> None:
            PRESENT.program = program
            function(*inner, **keywords)

        program.touched = True
        return original(begin, *arguments)

    return start_new_thread


def list_threads(original: Callable[[], list[threading.Thread]]) -> Callable[[], list[threading.Thread]]:
    """Return ``threading.enumerate`` as snippets have it."""

    def enumerate() -> list[threading.Thread]:  # noqa: A001  # the name that it has there
        program = PRESENT.program
        return original() if program is None else [_main_thread(program), *own_threads(program)]

    return enumerate


def count_threads(original: Callable[[], int]) -> Callable[[], int]:
    """Return ``threading.active_count`` as snippets have it."""

    def active_count() -> int:
        return original() if PRESENT.program is None else len(threading.enumerate())

    return active_count


def main_thread(original: Callable[[], threading.Thread]) -> Callable[[], threading.Thread]:
    """Return ``threading.main_thread`` as snippets have it.

    For the snippet's own code it is the thread that runs it. Libraries, which ask whether they may set signal handlers,
    are told the truth.
    """

    def main_thread() -> threading.Thread:
        program = PRESENT.program
        if program is None or sys._getframe(1).f_globals is not program.namespace:  # noqa: SLF001
            return original()
        return _main_thread(program)

    return main_thread

"""What each snippet has for itself of ``sys``, ``threading``, ``warnings`` and ``asyncio``, as a script has."""

import os
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fastrun.document.script import script_name
from fastrun.executors import present
from fastrun.executors.present import PRESENT, entries_of_snippets
from fastrun.executors.snippets.attributes import Own
from fastrun.executors.snippets.program import DELETED, OWNER, Program
from fastrun.executors.snippets.streams import make_input, make_output
from fastrun.protocols import STDERR, STDOUT


def _argv(program: Program) -> list[str]:
    """Return the arguments of ``python -c``, or of ``python SCRIPT``."""
    return ["-c" if program.task.script is None else script_name(program.task.script)]


def _path(program: Program) -> list[str]:
    """Return where modules are looked for: as ``python -c`` does, or ``python SCRIPT``."""
    path = entries_of_snippets(OF_SYS.outside("path"))
    first = "" if program.task.script is None else os.path.dirname(program.file)
    # In a host of the library the first entry is the host's own, behind which modules beside it are found.
    if not sys.flags.safe_path and (first or present.ends_with_run):
        path.insert(0, first)
    return path


OF_SYS = Own(
    sys,
    {
        "argv": _argv,
        "path": _path,
        "excepthook": lambda _: sys.__excepthook__,
        "unraisablehook": lambda _: sys.__unraisablehook__,
        "tracebacklimit": lambda _: DELETED,
        "__stdin__": lambda _: make_input(),
        "__stdout__": lambda program: make_output(program, STDOUT),
        "__stderr__": lambda program: make_output(program, STDERR),
        "stdin": lambda _: sys.__stdin__,
        "stdout": lambda _: sys.__stdout__,
        "stderr": lambda _: sys.__stderr__,
    },
)

OF_THREADING = Own(threading, {"excepthook": lambda _: threading.__excepthook__})

# What Python says, from 3.12 on, of a fork beside threads. A script has no others, and fastrun takes care of its own.
_FORK_BESIDE_THREADS = ".*is multi-threaded, use of fork"

OF_WARNINGS: Own = Own(
    warnings,
    {
        "filters": lambda _: [*OF_WARNINGS.outside("filters")],
        "onceregistry": lambda _: {},
        "showwarning": lambda _: OF_WARNINGS.outside("showwarning"),
        "_showwarnmsg_impl": lambda _: OF_WARNINGS.outside("_showwarnmsg_impl"),
    },
)


def ignore_threads_at_forks() -> None:
    """Let no fork warn of fastrun's threads: a script that makes errors of warnings has none."""
    if sys.version_info >= (3, 12):
        # In front of the filters that the snippet has added until now.
        warnings.filterwarnings("ignore", _FORK_BESIDE_THREADS, DeprecationWarning)


# The functions of ``warnings`` up to Python 3.13 that look at the module's dictionary, where later versions look at
# its attributes. Each takes the original, and returns the function that snippets call.


def add_filter(_: Callable[..., None]) -> Callable[..., None]:
    """Return what ``filterwarnings`` and ``simplefilter`` add a filter by."""

    def _add_filter(*item: Any, append: bool) -> None:
        filters: Any = warnings.filters
        if not append:
            with suppress(ValueError):
                filters.remove(item)
            filters.insert(0, item)
        elif item not in filters:
            filters.append(item)
        warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001

    return _add_filter


def reset_warnings(_: Callable[[], None]) -> Callable[[], None]:
    """Return ``resetwarnings``."""

    def resetwarnings() -> None:
        warnings.filters[:] = []  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001

    return resetwarnings


def show_warning(_: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what shows a warning."""

    def _showwarnmsg(message: Any) -> None:
        show = warnings.showwarning
        if show is OF_WARNINGS.outside("showwarning"):
            warnings._showwarnmsg_impl(message)  # type: ignore[attr-defined]  # noqa: SLF001
        else:
            show(message.message, message.category, message.filename, message.lineno, message.file, message.line)

    return _showwarnmsg


# Frames that a thread of the pool has before a snippet's first, and a script has not. Measured: Python 3.11 counts two
# calls of C code as well.
FRAMES = 8 if sys.version_info < (3, 12) else 6

# Before it is changed: the limit of the process, which all threads share.
_limit = sys.getrecursionlimit


def get_recursion_limit(original: Callable[[], int]) -> Callable[[], int]:
    """Return ``sys.getrecursionlimit`` as snippets have it: another snippet's limit is not seen."""
    fresh = original() - FRAMES

    def getrecursionlimit() -> int:
        program = PRESENT.program
        if program is None:
            return original() - FRAMES
        return program.recursion_limit or fresh

    return getrecursionlimit


def set_recursion_limit(original: Callable[[int], None]) -> Callable[[int], None]:
    """Return ``sys.setrecursionlimit`` as snippets have it: it never takes frames from others."""

    def setrecursionlimit(limit: int, /) -> None:
        program = PRESENT.program
        if program is None or not isinstance(limit, int) or limit < 1:
            original(limit)
        else:
            program.recursion_limit = limit
            original(max(limit + FRAMES, _limit()))

    return setrecursionlimit


def get_event_loop(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return ``get_event_loop`` of event loop policies as snippets have it: as in the main thread it makes a loop."""

    def get(policy: Any) -> Any:
        program = PRESENT.program
        if program is not None and not program.chose_loop and not hasattr(threading.current_thread(), OWNER):
            policy.set_event_loop(policy.new_event_loop())
        return original(policy)

    return get


def set_event_loop(original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return ``set_event_loop`` of event loop policies as snippets have it."""

    def set_(policy: Any, loop: Any) -> None:
        program = PRESENT.program
        if program is not None:
            program.chose_loop = True
        original(policy, loop)

    return set_

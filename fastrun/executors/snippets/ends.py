"""The end of a snippet, which is a script's end: threads, ``atexit``, child processes, files and temporary objects.

Runs in the snippet's own thread and context, after its code. Knows a program; not what its code was, nor the pool.
"""

import asyncio
import concurrent.futures
import gc
import io
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any, NoReturn

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.children import end_children
from fastrun.executors.snippets.main import remove_main_file
from fastrun.executors.snippets.program import DELETED, GIVEN_NAMES, Program
from fastrun.executors.snippets.threads import living_threads, own_threads
from fastrun.executors.snippets.tracebacks import report_ignored, safe_repr

# The base of all files that are written in C. Unlike ``io.IOBase`` it asks no object what it is.
_FILE: type = io.IOBase.__base__ or io.IOBase

# Types of the most common values that lead to no file, or to those of others.
_WITHOUT_FILES = frozenset([ModuleType, BuiltinFunctionType, FrameType, str, bytes, int, float, bool, type(None)])

# The modules of types whose objects may lead to a file of the snippet.
_FOLLOWED = frozenset(["__main__", "builtins", "collections", "_csv"])

# Seconds of processor time within which a snippet's objects stay in the young generations, as a rule.
_SHORT = 0.01

# Most objects that are looked at for files.
_MOST_LOOKED_AT = 10_000


class _Last(threading.local):
    """When a thread has last cleared a namespace: ``seconds`` of its processor time."""

    seconds = 0.0


_last = _Last()


def end_program(program: Program) -> bool:
    """Do what Python does at the end of a script. Return False if output of the program could not be written."""
    _wait_for_threads(program)
    _run_exits(program)
    if program.children or program.finalizers:
        end_children(program)
    flushed = _flush(program)
    _unset_hooks()
    with suppress(BaseException):
        _flush_files(program)
    if not (program.threaded and _is_in_use(program)):
        _clear(program.namespace)
        _close_streams(program)
    if program.chose_loop and sys.version_info < (3, 14):
        # So that it is finalized.
        asyncio.get_event_loop_policy().set_event_loop(None)
    remove_main_file(program)
    # Finalizers may have set some.
    _unset_hooks()
    # Once the run has given up on it, it stays given up.
    program.has_ended = not program.shared.parents.closed
    return flushed


def _wait_for_threads(program: Program) -> None:
    while program.threaded and (threads := living_threads(program)):
        for thread in threads:
            _shut_pool(thread)
        for thread in threads:
            # A class of the snippet may have a method of that name that raises what the thread has raised.
            threading.Thread.join(thread)


def _shut_pool(thread: threading.Thread) -> None:
    """Shut down the pool of ``concurrent.futures`` that a thread works for, if it does: such a thread waits for ever.

    A script does so for all pools. Source: ``_python_exit`` in Lib/concurrent/futures/thread.py and process.py.
    """
    for reference in (*getattr(thread, "_args", ())[:1], getattr(thread, "executor_reference", None)):
        pool = reference() if isinstance(reference, weakref.ref) else None
        if isinstance(pool, concurrent.futures.Executor):
            pool.shutdown(wait=False)


def _run_exits(program: Program) -> None:
    """Call the functions that the snippet has registered, the last one first."""
    # Functions that these register are not called. Source: atexit_callfuncs in CPython's Modules/atexitmodule.c.
    exits, program.exits = program.exits or (), None
    for function, arguments, keywords in reversed(exits):
        try:
            function(*arguments, **keywords)
        except BaseException as error:
            where = "Exception ignored in atexit callback"
            if sys.version_info >= (3, 13):
                report_ignored(error, f"{where} {safe_repr(function)}", None)
            else:
                report_ignored(error, where, function)


def _flush(program: Program) -> bool:
    """Flush what the program has for standard output and standard error. Return False if that failed."""
    flushed = True
    for name in ("stdout", "stderr"):
        stream = (program.own or {}).get(f"sys.{name}", DELETED)
        if stream is DELETED or stream is None:
            continue
        try:
            if not getattr(stream, "closed", False):
                stream.flush()
        except BaseException as error:
            flushed = flushed and name != "stdout"
            report_ignored(error, "Exception ignored in", stream)
        # What is finalized from here on prints as if they had never been replaced.
        if program.own is not None:
            program.own[f"sys.{name}"] = program.own.get(f"sys.__{name}__", stream)
    return flushed


def _unset_hooks() -> None:
    """Unset what a debugger or a profiler has set: it would be called in fastrun's own code, without its names."""
    trace, profile = PRESENT.hooks
    if sys.gettrace() is not trace:
        sys.settrace(trace)
    if sys.getprofile() is not profile:
        sys.setprofile(profile)


def _is_in_use(program: Program) -> bool:
    """Return whether a daemon thread runs code of the snippet."""
    daemons = {thread.ident for thread in own_threads(program) if thread.is_alive()}
    if not daemons:
        return False
    enabled = gc.isenabled()
    # A collection within this call could wait for ever for a thread that is about to start, up to Python 3.11: the call
    # holds the lock of all threads' states. Source: _PyThread_CurrentFrames in CPython's Python/pystate.c.
    gc.disable()
    try:
        frames = sys._current_frames()  # noqa: SLF001  # the only way to see what threads run
    finally:
        if enabled:
            gc.enable()
    for ident, top in frames.items():
        frame: FrameType | None = top if ident in daemons else None
        while frame is not None:
            if frame.f_globals is program.namespace:
                return True
            frame = frame.f_back
    return False


def _flush_files(program: Program) -> None:
    """Flush the files that are within reach of a program's namespace.

    Of a file in a cycle the collector may close the lower layer before the upper one is flushed. A class is a cycle.
    Objects of most libraries are passed over: from there on everything is within reach.
    """
    namespace = program.namespace
    seen: set[int] = set()
    pending = list(islice(namespace.values(), GIVEN_NAMES, None))
    while pending and len(seen) < _MOST_LOOKED_AT:
        thing = pending.pop()
        kind = type(thing)
        if issubclass(kind, _FILE):
            with suppress(BaseException):
                thing.flush()
        elif kind in _WITHOUT_FILES or kind.__module__ not in _FOLLOWED or id(thing) in seen:
            continue
        elif kind is FunctionType:
            if thing.__globals__ is namespace:
                pending += [*(thing.__closure__ or ()), *(thing.__defaults__ or ())]
        elif not issubclass(kind, type) or thing.__module__ == "__main__":
            seen.add(id(thing))
            pending += gc.get_referents(thing)


def _clear(namespace: dict[str, Any]) -> None:
    """Free what only the namespace holds: so files are closed, even where functions make it a cycle.

    In the order of the names, but functions, classes and modules last: ``__del__`` may need them.
    """
    # By type: an object can make anything of its ``__class__``.
    last = (FunctionType, ModuleType, type)
    for name in [name for name, value in namespace.items() if not issubclass(type(value), last)]:
        if not str(name).startswith("__"):
            namespace.pop(name, None)
    # What a short snippet has made is in the young generations: all others need not be looked at.
    now = time.thread_time()
    generation = 1 if now - _last.seconds < _SHORT else 2
    if any(
        issubclass(type(value), type) and "__del__" in type.__dict__["__dict__"].__get__(value)
        for value in namespace.values()
    ):
        # Objects in cycles are finalized while the functions that they call are still there.
        gc.collect(generation)
    namespace.clear()
    gc.collect(generation)
    _last.seconds = now


def _close_streams(program: Program) -> None:
    own, program.own = program.own, None
    if own and "sys.__stdin__" in own:
        with suppress(Exception):
            own["sys.__stdin__"].close()


# What stands in their modules while snippets run.


def register(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``atexit.register`` as snippets have it: a function that the snippet itself registers runs at its end.

    What a module registers, it registers for all snippets: that runs at the end of the process.
    """

    def register(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Callable[..., Any]:
        program = PRESENT.program
        if program is None or sys._getframe(1).f_globals is not program.namespace:  # noqa: SLF001
            return original(function, *arguments, **keywords)  # type: ignore[no-any-return]
        if not callable(function):
            raise TypeError("the first argument must be callable")
        if program.exits is None:
            program.exits = []
            program.touched = True
        program.exits.append((function, arguments, keywords))
        return function

    return register


def unregister(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return ``atexit.unregister`` as snippets have it."""

    def unregister(function: Any, /) -> None:
        program = PRESENT.program
        if program is not None and program.exits:
            program.exits = [entry for entry in program.exits if entry[0] != function]
        original(function)

    return unregister


def clear_exits(original: Callable[[], None]) -> Callable[[], None]:
    """Return ``atexit._clear``, by which multiprocessing has a process begin."""

    def clear() -> None:
        program = PRESENT.program
        if program is not None:
            program.exits = None
        if program is None or program.is_copy:
            original()

    return clear


def run_exits(original: Callable[[], None]) -> Callable[[], None]:
    """Return ``atexit._run_exitfuncs``, by which multiprocessing has a process end."""

    def run_exitfuncs() -> None:
        program = PRESENT.program
        if program is not None:
            _run_exits(program)
        if program is None or program.is_copy:
            original()

    return run_exitfuncs


def replace_process(original: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    """Return ``os.execv`` or ``os.execve``, which the others call, as snippets have them.

    The program would take the place of the whole run, whose tasks would then have no end.
    """

    def replace(*arguments: Any, **keywords: Any) -> NoReturn:
        program = PRESENT.program
        if program is not None and not program.is_copy:
            raise RuntimeError('a snippet in a thread cannot become another program: "where": "process" lets it')
        original(*arguments, **keywords)

    return replace


def leave_process(original: Callable[[int], NoReturn]) -> Callable[[int], NoReturn]:
    """Return ``os._exit`` as snippets have it: it ends the whole run, which is then not a success."""

    def _exit(status: int) -> NoReturn:
        program = PRESENT.program
        original(status if program is None or program.is_copy else status or 1)

    return _exit

"""Tracebacks of snippets: with the snippet's lines and the task's name, without fastrun's frames."""

import io
import linecache
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.program import Program

_OUR_FILES = os.path.dirname(__file__)

# An entry of ``linecache.cache``: size, time of the last change (None: never looked at again), lines, full name.
_Entry = tuple[int, None, list[str], str]


def safe_text(value: object) -> str:
    """Return ``str(value)``, or a text that says that it raised."""
    try:
        # A plain str: methods of a subclass of str could still do anything.
        return "".join(str(value))
    except BaseException:
        return "<no text: __str__ failed>"


def safe_repr(thing: object) -> str:
    """Return ``repr(thing)``, or a text that says that it raised."""
    try:
        return "".join(repr(thing))
    except BaseException:
        return f"<{type(thing).__name__} object: __repr__ failed>"


def without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the snippet's first frame on."""
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _OUR_FILES:
        trace = trace.tb_next
    return trace


def traceback_text(error: BaseException, trace: TracebackType | None = None) -> str:
    """Return the traceback of an exception that a snippet has raised, in the snippet's context."""
    try:
        limit = getattr(sys, "tracebacklimit", None)
        # The interpreter shows the last frames, where the functions of ``traceback`` would show the first.
        summary = traceback.TracebackException(type(error), error, trace or error.__traceback__, limit=limit and -limit)
        _tidy(summary)
        text = "".join(summary.format())
        return text if sys.version_info >= (3, 12) else _with_suggestion(text, error)
    except BaseException as second:
        # The exception nests too deeply, or one of its methods raises.
        program: Program = PRESENT.program
        return f"{program.file}: {type(error).__name__} (its traceback cannot be printed: {type(second).__name__})\n"


def _with_suggestion(text: str, error: BaseException) -> str:
    """Return a traceback with what Python 3.11 suggests for a wrong name, which only the interpreter itself prints."""
    program: Program | None = PRESENT.program
    if program is None or not isinstance(error, (NameError, AttributeError)):
        return text
    printed = io.StringIO()
    own = program.own
    program.own = {"sys.stderr": printed}
    try:
        sys.__excepthook__(type(error), error, None)
    finally:
        program.own = own
    last, suggested = text.rstrip("\n").rpartition("\n")[2], printed.getvalue().rstrip("\n").rpartition("\n")[2]
    return text.removesuffix(f"{last}\n") + f"{suggested}\n" if suggested.startswith(f"{last}. Did you") else text


def _tidy(summary: traceback.TracebackException) -> None:
    """Leave out fastrun's frames, in all exceptions of a chain."""
    seen: set[int] = set()
    pending: list[traceback.TracebackException | None] = [summary]
    while pending:
        exception = pending.pop()
        if exception is None or id(exception) in seen:
            continue
        seen.add(id(exception))
        exception.stack[:] = [frame for frame in exception.stack if os.path.dirname(frame.filename) != _OUR_FILES]
        if isinstance(getattr(exception, "filename", None), str) and exception.text is None and exception.lineno:
            # Some errors of the compiler come without their line, which it looks for in a file.
            exception.text = linecache.getline(exception.filename, int(exception.lineno)) or None
        pending += [exception.__cause__, exception.__context__, *(exception.exceptions or ())]


class Sources(dict[str, _Entry]):
    """``linecache.cache``, which finds the source of the present snippet as well.

    So it need not be there for each snippet, but is found by tracebacks, warnings, ``inspect`` and debuggers.
    """

    def __missing__(self, name: str) -> _Entry:
        program: Program | None = PRESENT.program
        # The source of a script is in its file, unless that is on another machine.
        if program is None or name != program.file or not program.task.source:
            raise KeyError(name)
        if program.entry is None:
            source = program.task.source
            program.entry = len(source), None, _lines(source), name
        # Not added: it would be gone for those that go through all entries when the snippet ends.
        return program.entry

    def __contains__(self, name: object) -> bool:
        try:
            self[name]  # type: ignore[index]  # not in it, whatever it is
        except KeyError:
            return False
        return True

    def get(self, name: str, default: Any = None) -> Any:
        """Return an entry."""
        try:
            return self[name]
        except KeyError:
            return default


def check_entries(original: Callable[[str], None]) -> Callable[[str | None], None]:
    """Return ``linecache.checkcache`` as later Pythons have it: another snippet may remove an entry meanwhile."""

    def checkcache(filename: str | None = None) -> None:
        for name in list(linecache.cache) if filename is None else [filename]:
            with suppress(KeyError):
                original(name)

    return checkcache


def _lines(source: str) -> list[str]:
    """Return the lines as Python counts them, each with its end. ``splitlines`` also splits at U+2028 and others.

    The last line has an end too: without it ``traceback`` puts the marks one column to the right.
    """
    return io.StringIO(source + "\n", newline=None).readlines()


def ignored_text(error: BaseException, where: str, thing: object, trace: TracebackType | None = None) -> str:
    """Return what Python prints of an exception that it cannot raise: ``where`` it came from, which ``thing``."""
    if thing is None:
        # Later versions of Python name it in ``where``.
        return f"{where}:\n{traceback_text(error, trace)}"
    return f"{where}: {safe_repr(thing)}\n{traceback_text(error, trace)}"


# What stands in ``threading`` and ``sys`` while snippets run. Python's own hooks are written in C, and do not find the
# lines of a snippet.


def print_of_thread(args: Any, /) -> None:
    """Print an exception that has ended a thread, as ``threading.excepthook`` does, or call what is to do that."""
    hook = threading.excepthook
    if PRESENT.program is None or hook is not threading.__excepthook__ or args.exc_value is None:
        hook(args)
    elif args.exc_type is not SystemExit:
        name = args.thread.name if args.thread is not None else threading.get_ident()
        _print(f"Exception in thread {name}:\n{traceback_text(args.exc_value, args.exc_traceback)}")


class Unraisable(NamedTuple):
    """An exception that cannot be raised, as ``sys.UnraisableHookArgs`` has it, which cannot be made by other code."""

    exc_type: type[BaseException]
    exc_value: BaseException
    exc_traceback: TracebackType | None
    err_msg: str
    object: object


def print_unraisable(args: Any, /) -> None:
    """Print an exception that cannot be raised, as ``sys.unraisablehook`` does, or call what is to do that."""
    hook = sys.unraisablehook
    if PRESENT.program is None or hook is not sys.__unraisablehook__ or args.exc_value is None:
        hook(args)
    else:
        _print(ignored_text(args.exc_value, args.err_msg or "Exception ignored in", args.object, args.exc_traceback))


def report_ignored(error: BaseException, where: str, thing: object) -> None:
    """Report an exception that cannot be raised. ``where``: what Python says of it. ``thing``: what raised it."""
    trace = without_our_frames(error.__traceback__)
    with suppress(BaseException):
        print_unraisable(Unraisable(type(error), error, trace, where, thing))


def _print(text: str) -> None:
    """Print on the present snippet's ``sys.stderr``, as far as it has that."""
    if (stream := getattr(sys, "stderr", None)) is not None:
        stream.write(text)

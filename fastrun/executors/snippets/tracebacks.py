"""Tracebacks of snippets: with the snippet's lines and the task's name, without fastrun's frames."""

import io
import linecache
import os
import threading
import traceback

from fastrun.document.task import Task

# The file name in code objects. Tasks with the same source share it: it stands for the name of the task.
SNIPPET_FILE = "<task>"

_OUR_FILES = os.path.dirname(__file__)


def safe_text(value: object) -> str:
    """Return ``str(value)``, or a text that says that it raised."""
    try:
        # A plain str: methods of a subclass of str could still do anything.
        return "".join(str(value))
    except BaseException:
        return "<no text: __str__ failed>"


# Held while a snippet's source stands in linecache, under the name that all snippets share.
_traceback_lock = threading.Lock()


def traceback_text(task: Task, error: BaseException) -> str:
    """Return the traceback of a snippet's exception, under the file name ``<task NAME>``."""
    name = f"<task {task.label}>"
    try:
        lines = _lines(task.arguments)
        with _traceback_lock:
            linecache.cache[SNIPPET_FILE] = (len(task.arguments), None, lines, SNIPPET_FILE)
            try:
                summary = traceback.TracebackException(type(error), error, error.__traceback__)
            finally:
                del linecache.cache[SNIPPET_FILE]
        _tidy(summary, name, lines)
        return "".join(summary.format())
    except BaseException as second:
        # The exception nests too deeply, or one of its methods raises.
        return f"{name}: {type(error).__name__} (its traceback cannot be printed: {type(second).__name__})\n"


def _lines(source: str) -> list[str]:
    """Return the lines as Python counts them, each with its end. ``splitlines`` also splits at U+2028 and others.

    The last line has an end too: without it ``traceback`` puts the marks one column to the right.
    """
    return io.StringIO(source + "\n", newline=None).readlines()


def _tidy(summary: traceback.TracebackException, name: str, lines: list[str]) -> None:
    """Replace SNIPPET_FILE by ``name`` and leave out fastrun's frames, in all exceptions of a chain.

    ``lines``: of the snippet. Some errors of the compiler come without their line, which it looks for in a file.
    """
    seen: set[int] = set()
    pending: list[traceback.TracebackException | None] = [summary]
    while pending:
        exception = pending.pop()
        if exception is None or id(exception) in seen:
            continue
        seen.add(id(exception))
        exception.stack[:] = [frame for frame in exception.stack if os.path.dirname(frame.filename) != _OUR_FILES]
        for frame in exception.stack:
            if frame.filename == SNIPPET_FILE:
                frame.filename = name
        if getattr(exception, "filename", None) in (SNIPPET_FILE, name):
            exception.filename = name
            if exception.text is None and exception.lineno is not None:
                exception.text = "".join(lines[int(exception.lineno) - 1 :][:1])
        pending += [exception.__cause__, exception.__context__, *(exception.exceptions or ())]

"""Tracebacks of snippets: with their own lines and their task's name, without our frames."""

import linecache
import os
import threading
import traceback

from fastrun.document.task import Task

# The file name in code objects, which tasks with the same source share: it stands for the task.
SNIPPET_FILE = "<task>"

_OUR_FILES = os.path.dirname(__file__)


def safe_text(value: object) -> str:
    """Return ``str(value)``, whatever that does."""
    try:
        # The text of a subclass of str could still do anything when it is used.
        return "".join(str(value))
    except BaseException:
        return "<no text: __str__ failed>"


# Held while a snippet's source stands in linecache, under the name that all snippets share.
_traceback_lock = threading.Lock()


def traceback_text(task: Task, error: BaseException) -> str:
    """Return the traceback with the snippet's own lines, under ``<task NAME>`` and without our frames."""
    name = f"<task {task.label}>"
    try:
        with _traceback_lock:
            linecache.cache[SNIPPET_FILE] = (
                len(task.arguments),
                None,
                task.arguments.splitlines(True),
                SNIPPET_FILE,
            )
            try:
                summary = traceback.TracebackException(type(error), error, error.__traceback__)
            finally:
                del linecache.cache[SNIPPET_FILE]
        _tidy(summary, name)
        return "".join(summary.format())
    except BaseException as second:
        # It is too deep, or a method of the exception raises.
        return f"{name}: {type(error).__name__} (its traceback cannot be printed: {type(second).__name__})\n"


def _tidy(summary: traceback.TracebackException, name: str) -> None:
    """Replace SNIPPET_FILE by the task's name and leave out our own frames, in all exceptions of a chain."""
    seen: set[int] = set()
    pending: list[traceback.TracebackException | None] = [summary]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [frame for frame in one.stack if os.path.dirname(frame.filename) != _OUR_FILES]
        for frame in one.stack:
            if frame.filename == SNIPPET_FILE:
                frame.filename = name
        if getattr(one, "filename", None) == SNIPPET_FILE:
            one.filename = name
        pending += [one.__cause__, one.__context__, *(one.exceptions or ())]

"""How a snippet failed, in the snippet's own words: its lines, its task's name, none of our frames."""

import linecache
import os
import threading
import traceback

from fastrun.document.task import Task

# Stands for the task in code objects, which tasks with the same source share.
SNIPPET_FILE = "<task>"

_OUR_FILES = os.path.dirname(__file__)


def safe_text(value: object) -> str:
    """``str(value)``, whatever that does."""
    try:
        # The text of a subclass of str could still do anything when it is used.
        return "".join(str(value))
    except BaseException:
        return "<no text: __str__ failed>"


# One at a time: the source of the snippet that failed stands in linecache under the name that all share.
_traceback_lock = threading.Lock()


def traceback_text(task: Task, error: BaseException) -> str:
    """The traceback with the snippet's own lines, under ``<task NAME>`` and without our frames."""
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
        # Too deep, or it raises in a place that nobody thought of.
        return f"{name}: {type(error).__name__} (its traceback cannot be printed: {type(second).__name__})\n"


def _tidy(summary: traceback.TracebackException, name: str) -> None:
    """Name the task in the place of SNIPPET_FILE and leave out our own frames, in all exceptions of a chain."""
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

"""One snippet: its code, its namespace and its failure.

Runs a snippet in the thread that calls it. Does not know the pool, chains nor the loop.
"""

import builtins
from collections.abc import Callable
from types import CodeType

from fastrun.document.task import Task
from fastrun.executors.context import OUTPUT
from fastrun.executors.snippets.tracebacks import SNIPPET_FILE, safe_text, traceback_text
from fastrun.outcome import OK, Cause, Outcome, Status
from fastrun.protocols import STDERR
from fastrun.text import printable

# Most code objects kept, for the first sources of a run, and most characters of a source whose code object is kept.
# Replacing old ones would cost each of many different snippets 0.4 us.
_CODES_KEPT = 1024
_LONGEST_KEPT = 1 << 14


class Interpreter:
    """Runs snippets, each in a fresh namespace. Equal sources share a code object."""

    def __init__(self, write: Callable[[int, int, bytes], bool], on_failure: Callable[[int], None] | None) -> None:
        """``write``: takes what a task prints: its number, the stream and the bytes; see ``OUTPUT``.

        ``on_failure``: told the number of a task as soon as it has failed. Its failure is described only afterwards,
        which takes a while.
        """
        self._write = write
        self._on_failure = on_failure
        self._codes: dict[str, CodeType] = {}

    def run(self, number: int, task: Task) -> Outcome:
        """Run a snippet in the present context, which must be one of its own. Any exception is a failure."""
        OUTPUT.set((self._write, number))
        try:
            source = task.arguments
            code = self._codes.get(source)
            if code is None:
                code = compile(source, SNIPPET_FILE, "exec", dont_inherit=True)
                if len(self._codes) < _CODES_KEPT and len(source) <= _LONGEST_KEPT:
                    self._codes[source] = code
            exec(code, {"__name__": "__main__", "__builtins__": builtins})
        except BaseException as error:
            if self._on_failure is not None and not isinstance(error, SystemExit):
                self._on_failure(number)
            try:
                return self._failed(number, task, error)
            except BaseException:
                # The name, the code and the text of an exception are the snippet's as well, and may raise anything.
                return Outcome(Status.FAILED, Cause.EXCEPTION, "an exception that cannot be described")
        return OK

    def _failed(self, number: int, task: Task, error: BaseException) -> Outcome:
        """Print an exception as Python does at the end of a script, and return what it makes of the task."""
        if isinstance(error, SystemExit):
            if error.code is None or error.code == 0:
                return OK
            text = "" if isinstance(error.code, int) else f"{safe_text(error.code)}\n"
        else:
            if isinstance(error, SyntaxError) and error.filename == SNIPPET_FILE:
                error.filename = f"<task {task.label}>"
            text = traceback_text(task, error)
        self._write(number, STDERR, text.encode("utf-8", "backslashreplace"))
        message = safe_text(error)
        name = safe_text(type(error).__name__)
        return Outcome(Status.FAILED, Cause.EXCEPTION, printable(f"{name}: {message}" if message else name))

"""The snippet whose code a thread runs, and whether this process is there for one run."""

import threading
from typing import Any


class _Present(threading.local):
    """``program``: the ``snippets.program.Program`` that this thread works for, None outside of snippets.

    Not a context variable: a snippet may run functions in an empty context, in a loop of asyncio for example.
    """

    program: Any = None
    # What ``sys.gettrace`` and ``sys.getprofile`` returned before the first snippet.
    hooks: tuple[Any, Any] = (None, None)


PRESENT = _Present()

# Whether this process was started to run a document, and ends with that run.
ends_with_run = False


def end_with_run() -> None:
    """Note that this process ends with its run."""
    global ends_with_run
    ends_with_run = True

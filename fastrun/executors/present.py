"""The snippet whose code a thread runs, and whether this process is there for one run."""

import sys
import threading
from collections.abc import Sequence
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


def entries_of_snippets(path: Sequence[str]) -> list[str]:
    """Return the entries of ``sys.path`` that snippets have as well.

    The first of a process that ends with its run is not for them: it is the folder of the command ``fastrun``, or the
    folder in which ``python -m fastrun`` was started.
    """
    return list(path[1:] if ends_with_run and not sys.flags.safe_path else path)

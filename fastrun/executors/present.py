"""The snippet whose code a thread runs."""

import threading
from typing import Any


class _Present(threading.local):
    """``program``: the ``snippets.program.Program`` that this thread works for, None outside of snippets.

    Not a context variable: a snippet may run functions in an empty context, in a loop of asyncio for example.
    """

    program: Any = None


PRESENT = _Present()

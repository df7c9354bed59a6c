"""Holds engines up while this process is copied: the copy would keep the writing ends of a command's pipes.

Knows the engines that are open. Does not know which code forks, nor what the copy does.
"""

import os
import threading
import weakref
from typing import Protocol


class Held(Protocol):
    """What must not be starting a command while this process is copied."""

    def hold_for_fork(self, *, resume: bool) -> None:
        """Start nothing until it is resumed; return when no start is under way, or takes long."""
        ...


# The engines that may be starting a command. A run whose loop is abandoned is not kept alive by it.
ENGINES: weakref.WeakSet[Held] = weakref.WeakSet()

# The engines that each thread holds up for a fork.
_held = threading.local()


def _before_fork() -> None:
    _held.engines = list(ENGINES)
    for engine in _held.engines:
        engine.hold_for_fork(resume=False)


def _after_fork() -> None:
    for engine in _held.__dict__.pop("engines", ()):
        engine.hold_for_fork(resume=True)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=ENGINES.clear)

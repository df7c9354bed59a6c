"""The threads of fastrun itself. What they do, and what follows when there is none, is their callers' business."""

import functools
import threading
import weakref
from collections.abc import Callable
from typing import Any

# Seconds between looks at a thread that has not begun yet. Almost every one has by then.
_PAUSE = 0.05


class Thread(threading.Thread):
    """A thread, by default a daemon. ``start`` raises RuntimeError if there is none, or no memory for its first step.

    In the second case that of ``threading.Thread`` waits for ever. Source: python/cpython issue 140746, open in 2026.
    """

    def __init__(self, target: Callable[[], object], name: str, *, daemon: bool = True) -> None:
        super().__init__(target=target, name=name, daemon=daemon)
        self._started = _Started()

    @property
    def _bootstrap(self) -> Callable[[], Any]:
        # ``start`` asks for it, and from then on the thread alone has it, until it ends.
        begin = functools.partial(super()._bootstrap)  # type: ignore[misc]
        self._started.begin = weakref.ref(begin)
        return begin


class _Started(threading.Event):
    """Set once a thread has begun. ``begin``: what the thread calls."""

    begin: Callable[[], Any]

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002  # ``start`` gives none
        while not super().wait(_PAUSE):
            if self.begin() is None and not self.is_set():
                raise RuntimeError("can't start new thread")
        return True

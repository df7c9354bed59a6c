"""Loops whose clocks a test puts forward: what is to come later comes at once then, and never earlier."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


class StillLoop(asyncio.SelectorEventLoop):
    """A loop of asyncio's own, whose time stands still until it is put forward."""

    _ahead = 0.0

    def time(self) -> float:
        return self._ahead

    def put_forward(self, seconds: float) -> None:
        """Make all timers due that are set for at most so many seconds from now on."""
        self._ahead += seconds


class ForwardLoop(StillLoop):
    """The same, whose time passes as well. Timers are to be set for longer than any test takes."""

    def time(self) -> float:
        return asyncio.SelectorEventLoop.time(self) + self._ahead


def put_forward(seconds: float) -> None:
    """Put forward the clock of the loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StillLoop)
    loop.put_forward(seconds)


def run_with(loop: type[StillLoop], main: Coroutine[Any, Any, _T]) -> _T:
    """Run something on such a loop."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)

"""Shortages of descriptors, processes, threads or memory: tasks wait for them to pass, up to a point."""

import asyncio
import errno

from fastrun.protocols import Events

# The errors by which the system says that it has no more of something for now.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})

# Seconds without a single start after which a task has failed.
PATIENCE = 10.0

# Seconds between two tries while no task runs whose end could free something.
_RETRY = 0.1


class Slots:
    """How many tasks may run at once, learned from what the system refuses.

    The number goes down to what runs when a start is refused, and up by one with each task that ends. If it only fell,
    one moment of shortage would slow the whole run.
    """

    def __init__(self, most: int) -> None:
        """``most``: the number of slots when nothing is short."""
        self.number = most
        self._most = most
        self._warned = False
        self._refused_since: float | None = None

    def refused(self, events: Events, running: int, cause: str) -> bool:
        """Note that a task could not be started while ``running`` others ran. Return whether to give it up."""
        if not self._warned:
            self._warned = True
            events.warning(f"{cause}: starting fewer tasks at once")
        if running:
            self.number = running
            return False
        loop = asyncio.get_running_loop()
        if self._refused_since is None:
            self._refused_since = loop.time()
        if loop.time() - self._refused_since >= PATIENCE:
            return True
        self.number = 0
        loop.call_later(_RETRY, self._try_again, events)
        return False

    def started(self) -> None:
        """Note that a task could be started."""
        self._refused_since = None

    def ended(self, count: int = 1) -> None:
        """Note that tasks ended and gave back what they used."""
        if self.number < self._most:
            self.number = min(self.number + count, self._most)

    def _try_again(self, events: Events) -> None:
        if not self.number:
            self.number = 1
            events.slots_changed()

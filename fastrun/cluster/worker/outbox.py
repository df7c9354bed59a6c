"""What a worker has to tell a client, until that has fetched it.

Knows the size of news and how long they may wait; not what they mean, but for output.
"""

import asyncio
import pickle
from collections import deque
from typing import Any

from fastrun.cluster.seats import OUTPUT, News

# Bytes of output that wait to be fetched at which no more is read, and about what one message brings at the most.
_UNFETCHED = 1 << 20
_MESSAGE = 1 << 19

# Seconds that news wait for more of them, unless the client is waited for; and that a question waits for news.
_GATHERING = 0.02
_QUESTION = 5.0


class Outbox:
    """News in their order. ``asked``: when they were last asked for. ``shut``: set once nobody asks any more."""

    def __init__(self) -> None:
        """Begin, inside the running loop."""
        self._loop = asyncio.get_running_loop()
        # With when they came.
        self._news: deque[tuple[float, News]] = deque()
        self._size = 0
        self._some = asyncio.Event()
        self._urgent = asyncio.Event()
        self._message = 0
        self._unheard: bytes | None = None
        self.asked = self._loop.time()
        self.shut = False

    @property
    def full(self) -> bool:
        """Whether the client is behind."""
        return self._size > _UNFETCHED and not self.shut

    def tell(self, *news: Any, urgent: bool = False) -> None:
        """Add something. ``urgent``: the client can do something about it."""
        if self.shut:
            return
        self._news.append((self._loop.time(), news))
        self._some.set()
        if news[0] == OUTPUT:
            self._size += len(news[3])
            urgent = self._size > _MESSAGE
        if urgent:
            self._urgent.set()

    async def fetch(self, heard: int) -> tuple[int, bytes]:
        """What happened since, as a running number and a message; the same once more unless it was ``heard``.

        In the message a list: how many seconds ago, and the news.
        """
        self.asked = self._loop.time()
        if heard == self._message:
            self._unheard = None
        if self._unheard is None:
            await _wait(self._some, _QUESTION)
            await _wait(self._urgent, _GATHERING)
        # Whoever asked before, and is gone, may have made one meanwhile.
        if self._unheard is None:
            self._message += 1
            self._unheard = pickle.dumps(self._take())
        self.asked = self._loop.time()
        return self._message, self._unheard

    def _take(self) -> list[tuple[float, News]]:
        taken = []
        size = 0
        now = self._loop.time()
        while self._news and size < _MESSAGE:
            came, news = self._news.popleft()
            if news[0] == OUTPUT:
                size += len(news[3])
            taken.append((now - came, news))
        self._size -= size
        if not self._news:
            self._some.clear()
            self._urgent.clear()
        return taken


async def _wait(event: asyncio.Event, seconds: float) -> None:
    if not event.is_set():
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return

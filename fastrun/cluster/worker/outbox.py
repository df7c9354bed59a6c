"""The outbox of a worker: keeps news until the client has fetched them.

Knows the size of news and how long they may wait. Of their kinds it knows only output.
"""

import asyncio
import pickle
from collections import deque
from typing import Any

from fastrun.cluster.seats import OUTPUT, News

# Most bytes of output that wait to be fetched before no more is read. Most bytes of output, roughly, in one message.
_UNFETCHED = 1 << 20
_MESSAGE = 1 << 19

# Most seconds that news wait for further news, unless they are urgent. Most seconds that a request waits for news.
_GATHERING = 0.02
_QUESTION = 5.0


class Outbox:
    """Keeps news in order. ``asked``: when a client last asked. ``shut``: set once no client will ask any more."""

    def __init__(self) -> None:
        """Create an empty outbox, inside the running loop."""
        self._loop = asyncio.get_running_loop()
        # Pairs of the time at which news came, and the news.
        self._news: deque[tuple[float, News]] = deque()
        self._size = 0
        self._not_empty = asyncio.Event()
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
        """Add news. ``urgent``: the client has something to do now, so the news must not wait for more."""
        if self.shut:
            return
        self._news.append((self._loop.time(), news))
        self._not_empty.set()
        if news[0] == OUTPUT:
            self._size += len(news[3])
            urgent = self._size > _MESSAGE
        if urgent:
            self._urgent.set()

    async def fetch(self, heard: int) -> tuple[int, bytes]:
        """Wait for news, and return the number of a message and the message.

        The message is a pickled list of pairs: the seconds since the news came, and the news. The same message is
        returned again until the client asks with its number as ``heard``.
        """
        self.asked = self._loop.time()
        if heard == self._message:
            self._unheard = None
        if self._unheard is None:
            await _wait(self._not_empty, _QUESTION)
            await _wait(self._urgent, _GATHERING)
        # An earlier request, whose client is gone, may have made the message meanwhile.
        if self._unheard is None:
            self._message += 1
            self._unheard = pickle.dumps(self._pop_message())
        self.asked = self._loop.time()
        return self._message, self._unheard

    def _pop_message(self) -> list[tuple[float, News]]:
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
            self._not_empty.clear()
            self._urgent.clear()
        return taken


async def _wait(event: asyncio.Event, seconds: float) -> None:
    if not event.is_set():
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return

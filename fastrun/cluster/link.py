"""The link to one worker: sends commands to it, and fetches news from it.

The client asks and the worker answers, in two independent sequences of requests. A request with commands carries all
commands since the last answer. A request for news follows the answer to the one before. A client that is behind does
not ask for news, and the worker then reads no more output. A failed request is repeated; running numbers ensure that no
command is executed and no news is reported twice.

Knows addresses. Of commands and news it knows only output, warnings and the end.
"""

import asyncio
import pickle
from contextlib import suppress
from typing import Any, Protocol

from dask import config
from distributed import Client

from fastrun.cluster.seats import CLOSED, OUTPUT, WARNING, Command, Leave, News, Worker
from fastrun.cluster.worker.terms import OPERATION
from fastrun.protocols import Events

# Most seconds for the first answer of a worker. A worker that cannot be reached directly is reached through the
# scheduler.
_FIRST_WORD = 3.0

# Seconds without an answer after which a request is repeated. A worker without news answers after five.
_ANSWER = 30.0

# Requests that may fail in a row before a worker is given up that the scheduler still has. Seconds of the first pause
# between them.
_TRIES = 5
_PAUSE = 0.2

# Seconds between checks whether the output is still congested.
_BEHIND = 0.005


class Listener(Protocol):
    """The owner of the link."""

    def heard(self, worker: Worker, news: News, ago: float) -> None:
        """Take news of a task. ``ago``: the seconds since it happened."""
        ...

    def link_lost(self, link: "Link") -> None:
        """Note that the worker is lost: no more news will come from it."""
        ...

    async def knows(self, address: str) -> bool:
        """Return whether the scheduler has this worker."""
        ...


class Link:
    """The link to one worker in one run. ``ended``: set once no more news will come."""

    def __init__(self, client: Client, run: str, worker: Worker, events: Events, listener: Listener) -> None:
        """Start talking to the worker, directly or, if Dask's configuration says so, through the scheduler."""
        self.worker = worker
        self.ended = asyncio.Event()
        self._client = client
        self._run = run
        self._events = events
        self._listener = listener
        self._commands: list[Command] = []
        self._sent = 0
        self._wake_up = asyncio.Event()
        self._direct: bool | None = config.get("distributed.client.direct-to-workers", None)
        self._lost = False
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._send_commands()), loop.create_task(self._fetch_news())]
        for task in self._tasks:
            task.add_done_callback(self._lose_after_error)

    def send(self, command: Command) -> None:
        """Send a command soon."""
        self._commands.append(command)
        self._wake_up.set()

    async def close(self) -> None:
        """Tell the worker to forget the run if it has ended, then stop talking."""
        if not self.ended.is_set():
            for task in self._tasks:
                task.cancel()
        elif not self._lost:
            with suppress(OSError, TimeoutError):
                await self._ask(commands=pickle.dumps([Leave()]), first=self._sent)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send_commands(self) -> None:
        while not self.ended.is_set():
            await self._wake_up.wait()
            self._wake_up.clear()
            commands, self._commands = self._commands, []
            if commands:
                await self._ask_until_answered(commands=pickle.dumps(commands), first=self._sent)
                self._sent += len(commands)

    async def _fetch_news(self) -> None:
        heard = -1
        while not self.ended.is_set():
            answer = await self._ask_until_answered(heard=heard)
            if answer is None:
                return
            heard, packed = answer
            for ago, news in pickle.loads(packed):  # noqa: S301  # all answers of Dask's workers are pickled
                if news[0] == OUTPUT:
                    self._events.task_output(*news[1:])
                elif news[0] == WARNING:
                    self._events.warning(f"{self.worker.label}: {news[1]}")
                elif news[0] == CLOSED:
                    self._stop()
                else:
                    self._listener.heard(self.worker, news, ago)
            while self._events.congested:  # noqa: ASYNC110  # no event tells when congestion is over
                await asyncio.sleep(_BEHIND)

    async def _ask_until_answered(self, **request: Any) -> Any:
        """Return the answer, None once the worker is lost."""
        failed = 0
        while not self.ended.is_set():
            try:
                answer = await self._ask(**request)
                if answer is not None:
                    # The worker may have been given up meanwhile: then its answer no longer counts.
                    return None if self._lost else answer
                # The worker no longer knows the run: it has given up this client.
            except (OSError, TimeoutError):
                failed += 1
                if failed < _TRIES and await self._listener.knows(self.worker.address):
                    await asyncio.sleep(_PAUSE * failed)
                    continue
            if not self._lost:
                self.end()
                self._listener.link_lost(self)
        return None

    def end(self) -> None:
        """Ignore everything that the worker still says: it is lost."""
        self._lost = True
        self._stop()

    def _lose_after_error(self, task: "asyncio.Task[None]") -> None:
        """Give up the worker after an error in this module, so that the run does not wait for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.warning(f"internal error of fastrun: {error!r}")
            self.end()
            self._listener.link_lost(self)

    def _stop(self) -> None:
        self.ended.set()
        self._wake_up.set()

    async def _ask(self, **request: Any) -> Any:
        """Send one request and return the answer. Raises OSError or TimeoutError."""
        if self._direct is None:
            self._direct = await self._can_be_reached()
        if self._direct:
            call = getattr(self._client.rpc(self.worker.address), OPERATION)(run=self._run, **request)
        else:
            message = {"op": OPERATION, "run": self._run, **request}
            call = self._client.scheduler.proxy(worker=self.worker.address, msg=message)
        return await asyncio.wait_for(call, _ANSWER)

    async def _can_be_reached(self) -> bool:
        try:
            await asyncio.wait_for(self._client.rpc(self.worker.address).identity(), _FIRST_WORD)
        except (OSError, TimeoutError):
            return False
        return True

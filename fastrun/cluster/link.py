"""What is said to one worker, and heard from it.

Two conversations, both of questions and answers: commands, all that have come up since the last answer at once, and
news, of which there is one question at a time. A client that is behind asks no more, and the worker reads no more. A
question that failed is asked again; running numbers see to it that nothing is done or told twice.

Knows addresses; not what commands and news mean, but for output and warnings.
"""

import asyncio
import pickle
from contextlib import suppress
from typing import Any, Protocol

from dask import config
from distributed import Client

from fastrun.cluster.seats import CLOSED, LEAVE, OUTPUT, WARNING, Command, News, Worker
from fastrun.cluster.worker.worker import OPERATION
from fastrun.protocols import Events

# Seconds for the first word to a worker. Who cannot be reached from here is talked to through the scheduler.
_FIRST_WORD = 3.0

# Seconds without an answer after which a question is asked again; a worker answers after five.
_ANSWER = 30.0

# How often in a row a question may fail before a worker that the scheduler still has is given up on.
_TRIES = 5
_PAUSE = 0.2

# Seconds between looks at whoever is behind with the output.
_BEHIND = 0.005


class Listener(Protocol):
    """Who has the link."""

    def heard(self, worker: Worker, news: News, ago: float) -> None:
        """What happened to a task, so many seconds ago."""
        ...

    def link_lost(self, link: "Link") -> None:
        """Nothing more will be heard."""
        ...

    async def knows(self, address: str) -> bool:
        """Whether the scheduler has this worker."""
        ...


class Link:
    """One worker of one run. ``ended``: set when there is nothing more to be heard."""

    def __init__(self, client: Client, run: str, worker: Worker, events: Events, listener: Listener) -> None:
        """Begin to talk: to the worker itself, or through the scheduler if Dask's configuration says so."""
        self.worker = worker
        self.ended = asyncio.Event()
        self._client = client
        self._run = run
        self._events = events
        self._listener = listener
        self._commands: list[Command] = []
        self._said = 0
        self._some = asyncio.Event()
        self._direct: bool | None = config.get("distributed.client.direct-to-workers", None)
        self._lost = False
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._speak()), loop.create_task(self._listen())]
        for task in self._tasks:
            task.add_done_callback(self._check)

    def send(self, command: Command) -> None:
        """Say something, soon."""
        self._commands.append(command)
        self._some.set()

    async def close(self) -> None:
        """Say good-bye, and nothing more."""
        if not self.ended.is_set():
            for task in self._tasks:
                task.cancel()
        elif not self._lost:
            with suppress(OSError, TimeoutError):
                await self._ask(said=pickle.dumps([(LEAVE,)]), place=self._said)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _speak(self) -> None:
        while not self.ended.is_set():
            await self._some.wait()
            self._some.clear()
            commands, self._commands = self._commands, []
            if commands:
                await self._ask_until_answered(said=pickle.dumps(commands), place=self._said)
                self._said += len(commands)

    async def _listen(self) -> None:
        heard = -1
        while not self.ended.is_set():
            answer = await self._ask_until_answered(heard=heard)
            if answer is None:
                return
            heard, packed = answer
            for ago, news in pickle.loads(packed):  # noqa: S301  # as all that Dask's workers answer
                if news[0] == OUTPUT:
                    self._events.task_output(*news[1:])
                elif news[0] == WARNING:
                    self._events.warning(f"{self.worker.label}: {news[1]}")
                elif news[0] == CLOSED:
                    self._stop()
                else:
                    self._listener.heard(self.worker, news, ago)
            while self._events.congested:  # noqa: ASYNC110  # nobody says when it is over
                await asyncio.sleep(_BEHIND)

    async def _ask_until_answered(self, **what: Any) -> Any:
        """The answer, None once the worker is lost."""
        failed = 0
        while not self.ended.is_set():
            try:
                answer = await self._ask(**what)
                if answer is not None:
                    # Not if the worker was given up on meanwhile.
                    return None if self._lost else answer
                # It does not know the run any more: it gave up on us.
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
        """Believe nothing more of what the worker says: it is lost."""
        self._lost = True
        self._stop()

    def _check(self, task: "asyncio.Task[None]") -> None:
        """Let go of the worker if we have failed ourselves: the run must not wait for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.warning(f"internal error: {error!r}")
            self.end()
            self._listener.link_lost(self)

    def _stop(self) -> None:
        self.ended.set()
        self._some.set()

    async def _ask(self, **what: Any) -> Any:
        """Ask once. Raises OSError or TimeoutError."""
        if self._direct is None:
            self._direct = await self._is_reached()
        if self._direct:
            call = getattr(self._client.rpc(self.worker.address), OPERATION)(run=self._run, **what)
        else:
            message = {"op": OPERATION, "run": self._run, **what}
            call = self._client.scheduler.proxy(worker=self.worker.address, msg=message)
        return await asyncio.wait_for(call, _ANSWER)

    async def _is_reached(self) -> bool:
        try:
            await asyncio.wait_for(self._client.rpc(self.worker.address).identity(), _FIRST_WORD)
        except (OSError, TimeoutError):
            return False
        return True

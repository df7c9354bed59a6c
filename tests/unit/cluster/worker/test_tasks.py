"""The tasks in the seats of a worker, without Dask: real commands, and an outbox that a test reads."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import fastrun
from fastrun.cluster.seats import ENDED, OUTPUT, RETURNED, STARTED, pack
from fastrun.cluster.worker.tasks import SeatedTasks
from fastrun.cluster.worker.terms import Terms
from fastrun.document.task import Task
from fastrun.outcome import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Box:
    """An outbox that keeps all news and wakes the test."""

    full = False

    def __init__(self) -> None:
        self.news: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()

    def tell(self, *news: Any, urgent: bool = False) -> None:
        self.news.append(news)
        self._changed.set()

    async def until(self, *news: Any) -> None:
        """Wait for news that begin so."""
        while not any(told[: len(news)] == news for told in self.news):
            self._changed.clear()
            await self._changed.wait()

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [told[1:] for told in self.news if told[0] == kind]


def play(
    script: Callable[[SeatedTasks, Box], Awaitable[None]], directory: str | None = None, *, fail_fast: bool = False
) -> None:
    """Run a script with the tasks of one worker, and end what is left."""

    async def main() -> None:
        box = Box()
        terms = Terms(
            run="run",
            topic="topic",
            version=fastrun.__version__,
            directory=directory or os.getcwd(),
            grace=1.0,
            timeout=None,
            guardian=False,
            measured=False,
            fail_fast=fail_fast,
        )
        tasks = SeatedTasks(terms, box)  # type: ignore[arg-type]
        try:
            await script(tasks, box)
        finally:
            tasks.interrupt(None, True)
            await tasks.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def chain(first: int, *commands: str) -> list[Any]:
    """Tasks with consecutive numbers, of which each depends on the one before, as a client sends them."""
    return [pack((first + n, Task(f"t{first + n}", "exec", command, ()))) for n, command in enumerate(commands)]


def test_tasks_of_a_seat_run_one_after_the_other():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "echo a"), chain(1, "exit 3"), chain(2, "true")], 60.0)
        await box.until(ENDED, 7, 2)
        events = [(news[0], news[2]) for news in box.news if news[0] in (STARTED, ENDED)]
        assert events == [(kind, number) for number in range(3) for kind in (STARTED, ENDED)]
        assert [(outcome.status, outcome.reason) for _, _, outcome, _ in box.of(ENDED)] == [
            (Status.OK, ""),
            (Status.FAILED, "exit status 3"),
            (Status.OK, ""),
        ]
        assert box.of(OUTPUT) == [(0, 1, b"a\n")]

    play(script)


def test_a_chain_ends_with_its_first_failure():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "true", "false", "true"), chain(3, "true")], 60.0)
        await box.until(ENDED, 7, 3)
        assert [news[1] for news in box.of(STARTED)] == [0, 1, 3]

    play(script)


def test_tasks_behind_a_long_one_are_returned():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "sleep 1000"), chain(1, "true"), chain(2, "true")], 0.0)
        await box.until(RETURNED, 7, 2)
        assert box.of(RETURNED) == [(7, 1), (7, 2)]

    play(script)


def test_recalled_tasks_are_returned_and_the_running_one_goes_on():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "echo a; exec sleep 1000"), chain(1, "true")], 60.0)
        await box.until(OUTPUT, 0)
        tasks.recall()
        assert box.of(RETURNED) == [(7, 1)]
        tasks.interrupt(0, True)
        await box.until(ENDED, 7, 0)
        assert [news[1] for news in box.of(STARTED)] == [0]

    play(script)


def test_the_rest_of_a_recalled_chain_is_returned(tmp_path: Path):
    async def script(tasks: SeatedTasks, box: Box) -> None:
        os.mkfifo(tmp_path / "go")
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "echo a; read _ < go", "true", "true")], 60.0)
        await box.until(OUTPUT, 0)
        tasks.recall()
        assert box.of(RETURNED) == []
        await asyncio.to_thread((tmp_path / "go").write_text, "\n")
        await box.until(RETURNED, 7, 1)
        assert [(number, outcome.status) for _, number, outcome, _ in box.of(ENDED)] == [(0, Status.OK)]
        # The client has them back from now on: the seat is free for others.
        tasks.run(7, [chain(3, "true", "true")], 60.0)
        await box.until(ENDED, 7, 4)
        assert [news[1] for news in box.of(STARTED)] == [0, 3, 4]

    play(script, str(tmp_path))


def test_after_a_failure_only_tasks_start_that_were_sent_once_the_client_had_heard_of_it():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "exit 3"), chain(1, "true")], 60.0)
        await box.until(ENDED, 7, 0)
        await box.until(RETURNED, 7, 1)
        tasks.run(7, [chain(2, "true")], 60.0)
        await box.until(RETURNED, 7, 2)
        tasks.acknowledge_failure()
        tasks.run(7, [chain(3, "true")], 60.0)
        await box.until(ENDED, 7, 3)
        assert [news[1] for news in box.of(STARTED)] == [0, 3]

    play(script, fail_fast=True)


def test_after_an_interrupt_nothing_starts():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "echo a; exec sleep 1000"), chain(1, "true")], 60.0)
        await box.until(OUTPUT, 0)
        tasks.interrupt(None, False)
        await box.until(ENDED, 7, 0)
        tasks.run(7, [chain(2, "true")], 60.0)
        assert box.of(RETURNED) == [(7, 1), (7, 2)]
        assert [outcome.status for _, _, outcome, _ in box.of(ENDED)] == [Status.INTERRUPTED]

    play(script)


def test_a_seat_that_is_closed_takes_no_tasks():
    async def script(tasks: SeatedTasks, box: Box) -> None:
        seat = tasks.open_seat(7)
        tasks.release(7)
        assert seat.released.done()
        tasks.close_seat(seat)
        tasks.run(7, [chain(0, "true", "true"), chain(2, "true")], 60.0)
        assert box.news == [(RETURNED, 7, 0), (RETURNED, 7, 2)]

    play(script)


def test_commands_run_in_the_directory_of_the_client(tmp_path: Path):
    async def script(tasks: SeatedTasks, box: Box) -> None:
        tasks.open_seat(7)
        tasks.run(7, [chain(0, "pwd")], 60.0)
        await box.until(ENDED, 7, 0)
        assert box.of(OUTPUT) == [(0, 1, f"{tmp_path}\n".encode())]

    play(script, str(tmp_path))

"""What a worker has to tell: in order, bounded, and told again to who has not heard it."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

from fastrun.cluster.seats import ENDED, OUTPUT, STARTED
from fastrun.cluster.worker.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def within_a_loop(play: Callable[[Outbox], Awaitable[None]]) -> None:
    async def main() -> None:
        await play(Outbox())

    asyncio.run(asyncio.wait_for(main(), 30))


async def fetched(outbox: Outbox, heard: int) -> tuple[int, list[Any]]:
    number, packed = await outbox.fetch(heard)
    told = pickle.loads(packed)
    assert all(ago >= 0 for ago, _ in told)
    return number, [news for _, news in told]


def test_a_message_that_was_not_heard_is_told_again_and_nothing_is_told_twice():
    async def play(outbox: Outbox) -> None:
        outbox.tell(STARTED, 0, 1)
        outbox.tell(ENDED, 0, 1, urgent=True)
        first = await fetched(outbox, -1)
        assert first[1] == [(STARTED, 0, 1), (ENDED, 0, 1)]
        outbox.tell(STARTED, 0, 2, urgent=True)
        assert await fetched(outbox, -1) == first
        second = await fetched(outbox, first[0])
        assert second[1] == [(STARTED, 0, 2)]

    within_a_loop(play)


def test_two_readers_at_the_same_time_get_the_same():
    async def play(outbox: Outbox) -> None:
        asked = [asyncio.create_task(fetched(outbox, -1)) for _ in range(2)]
        await asyncio.sleep(0)
        outbox.tell(STARTED, 0, 1, urgent=True)
        one, other = await asyncio.gather(*asked)
        assert one == other == (1, [(STARTED, 0, 1)])

    within_a_loop(play)


def test_it_is_full_until_output_is_fetched_and_cuts_it_into_messages():
    async def play(outbox: Outbox) -> None:
        pieces = [bytes([number]) * 100_000 for number in range(20)]
        for piece in pieces:
            outbox.tell(OUTPUT, 7, 1, piece)
        assert outbox.full
        heard, messages = -1, 0
        found: list[bytes] = []
        while len(found) < len(pieces):
            heard, news = await fetched(outbox, heard)
            assert sum(len(one[3]) for one in news) < 700_000
            found += [one[3] for one in news]
            messages += 1
        assert found == pieces
        assert messages > 2
        assert not outbox.full

    within_a_loop(play)


def test_shut_outbox_takes_nothing_and_is_not_full():
    async def play(outbox: Outbox) -> None:
        outbox.shut = True
        for _ in range(20):
            outbox.tell(OUTPUT, 7, 1, bytes(100_000))
        assert not outbox.full

    within_a_loop(play)

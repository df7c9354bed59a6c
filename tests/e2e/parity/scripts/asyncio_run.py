"""``asyncio.run`` runs a coroutine and returns its result."""

import asyncio


async def work(number):
    await asyncio.sleep(0.01)
    await turns[number].wait()
    print("done", number)
    turns[number + 1].set()
    return number


async def main():
    turns[1].set()
    return await asyncio.gather(*(work(number) for number in (3, 1, 2)))


turns = [asyncio.Event() for _ in range(5)]
print(asyncio.run(main()))
turns[0].set()
print(asyncio.run(work(0)))

"""``asyncio.run`` runs a coroutine and returns its result."""

import asyncio


async def work(number):
    await asyncio.sleep(0.01 * number)
    print("done", number)
    return number


async def main():
    return await asyncio.gather(*(work(number) for number in (3, 1, 2)))


print(asyncio.run(main()))
print(asyncio.run(work(0)))

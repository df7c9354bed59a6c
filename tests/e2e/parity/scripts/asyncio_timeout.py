"""A time limit cancels what takes too long."""

import asyncio


async def main():
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError as error:
        print(repr(error))
    await asyncio.wait_for(asyncio.sleep(60), 0.01)


asyncio.run(main())

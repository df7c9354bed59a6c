"""A coroutine that is never awaited gets a warning."""

import asyncio


async def forgotten():
    pass


async def main():
    forgotten()
    print("goes on")


asyncio.run(main())

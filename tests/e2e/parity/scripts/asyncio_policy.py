"""The policy is Python's own."""

import asyncio


async def main():
    return type(asyncio.get_running_loop()).__module__


print(asyncio.run(main()))

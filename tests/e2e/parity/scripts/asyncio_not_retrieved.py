"""The exception of a task that nothing waits for is logged."""

import asyncio


async def fail():
    raise ValueError("not retrieved")


async def main():
    asyncio.create_task(fail(), name="failing")
    await asyncio.sleep(0.01)
    print("goes on")


asyncio.run(main())

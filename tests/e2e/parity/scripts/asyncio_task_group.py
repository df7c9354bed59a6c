"""A group of tasks: a failure cancels the others and shows as an exception group."""

import asyncio


async def wait():
    try:
        await asyncio.sleep(60)
    finally:
        print("cancelled")


async def fail():
    await asyncio.sleep(0.01)
    raise ValueError("in a task")


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(wait())
        group.create_task(fail())


asyncio.run(main())

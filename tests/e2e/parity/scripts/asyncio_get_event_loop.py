"""The old way to get a loop, as far as this version of Python allows it."""

import asyncio


async def main():
    await asyncio.sleep(0)
    return "result"


loop = asyncio.get_event_loop()
print(loop.run_until_complete(main()))
loop.close()

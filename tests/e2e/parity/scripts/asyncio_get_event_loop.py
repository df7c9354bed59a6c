"""The old way to get a loop, and what scripts do where this version of Python no longer allows it."""

import asyncio
import warnings

warnings.simplefilter("ignore", DeprecationWarning)


async def main():
    await asyncio.sleep(0)
    return "result"


try:
    loop = asyncio.get_event_loop()
except RuntimeError:
    print("no loop")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
print(loop.run_until_complete(main()), asyncio.get_event_loop() is loop)
loop.close()

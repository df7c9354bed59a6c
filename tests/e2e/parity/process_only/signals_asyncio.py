"""A loop handles a signal."""

import asyncio
import os
import signal


async def main():
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, got.set)
    os.kill(os.getpid(), signal.SIGTERM)
    await got.wait()
    print("handled")


asyncio.run(main())

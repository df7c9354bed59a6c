"""A loop that the script makes, sets, and never closes."""

import asyncio

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
print(asyncio.get_event_loop() is loop)
loop.call_later(0.01, loop.stop)
loop.run_forever()
print(loop.run_until_complete(asyncio.sleep(0, "slept")))

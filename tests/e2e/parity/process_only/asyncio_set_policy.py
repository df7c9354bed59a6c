"""A policy for loops that a script sets is its own."""

import asyncio
import time
import warnings

warnings.simplefilter("ignore", DeprecationWarning)


class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        print("a loop of the policy")
        return super().new_event_loop()


asyncio.set_event_loop_policy(Policy())
time.sleep(0.05)
asyncio.run(asyncio.sleep(0))

"""Functions in threads print as the script does, and see its context variables."""

import asyncio
import contextvars

variable = contextvars.ContextVar("variable")


def work(text):
    print(text, variable.get())
    return text.upper()


async def main():
    variable.set("set")
    print(await asyncio.to_thread(work, "in a thread"))
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, str.title, "in an executor"))


asyncio.run(main())

"""A runner keeps its loop and its context between runs; async generators are closed at its end."""

import asyncio


async def numbers():
    try:
        yield 1
        yield 2
    finally:
        print("closed")


async def first(generator):
    return await anext(generator)


with asyncio.Runner() as runner:
    generator = numbers()
    print(runner.run(first(generator)), runner.run(first(generator)))

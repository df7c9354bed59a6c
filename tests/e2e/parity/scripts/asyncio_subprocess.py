"""A command, its output and its exit status by asyncio."""

import asyncio


async def main():
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "cat; exit 3", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(b"by a pipe\n")
    print(output, process.returncode)
    shell = await asyncio.create_subprocess_shell("kill $$")
    print(await shell.wait())


asyncio.run(main())

"""A pipe between a script and its forked child."""

import os

reader, writer = os.pipe()
pid = os.fork()
if not pid:
    os.close(reader)
    os.write(writer, b"from the child")
    os._exit(0)
os.close(writer)
with open(reader, "rb") as pipe:
    print(pipe.read())
os.waitpid(pid, 0)

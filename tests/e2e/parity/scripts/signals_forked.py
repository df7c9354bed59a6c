"""A forked child has the usual handlers: SIGTERM ends it."""

import os
import signal
import time

reader, writer = os.pipe()
pid = os.fork()
if not pid:
    os.write(writer, b"x")
    time.sleep(60)
    os._exit(0)
os.read(reader, 1)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

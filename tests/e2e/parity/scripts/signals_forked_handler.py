"""A forked child can have a handler of its own."""

import os
import signal

pid = os.fork()
if not pid:
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))
    os.kill(os.getpid(), signal.SIGUSR1)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

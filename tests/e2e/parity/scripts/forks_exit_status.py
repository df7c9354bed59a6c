"""The parent sees the exit status of a forked child."""

import os

for status in (0, 7):
    pid = os.fork()
    if not pid:
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

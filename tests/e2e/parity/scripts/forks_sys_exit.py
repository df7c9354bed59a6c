"""A forked child that calls ``sys.exit`` ends with that status."""

import os
import sys

pid = os.fork()
if not pid:
    sys.exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

"""A forked child that raises prints its traceback and ends with 1."""

import os

pid = os.fork()
if not pid:
    raise ValueError("in the child")
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

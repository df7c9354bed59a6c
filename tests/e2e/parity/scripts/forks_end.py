"""A forked child that reaches the end of the script ends with 0, and the parent goes on alone."""

import os

pid = os.fork()
if pid:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "by the parent")

"""What a script has printed and not flushed when it forks is printed twice."""

import os

print("twice")
pid = os.fork()
if pid:
    os.waitpid(pid, 0)

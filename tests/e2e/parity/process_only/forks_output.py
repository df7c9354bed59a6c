"""What a forked child prints stands before what the parent prints once the child has ended."""

import os
import sys

print("first", flush=True)
pid = os.fork()
if not pid:
    print("child")
    print("child, to standard error", file=sys.stderr)
    sys.exit()
os.waitpid(pid, 0)
print("parent")

"""A forked child that ends by ``sys.exit`` runs the functions of ``atexit`` as well."""

import atexit
import os
import sys

pid = 0
atexit.register(lambda: print("at exit of the", "parent" if pid else "child", flush=True))
pid = os.fork()
if not pid:
    sys.exit()
os.waitpid(pid, 0)
print("waited", flush=True)

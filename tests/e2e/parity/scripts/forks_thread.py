"""A forked child can start threads and has one thread at first."""

import os
import threading

pid = os.fork()
if not pid:
    count = threading.active_count()
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()
    os._exit(10 + count)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

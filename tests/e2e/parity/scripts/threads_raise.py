"""A thread that raises prints its traceback; the script ends well."""

import threading


def fail():
    raise ValueError("in a thread")


thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
print(thread.is_alive())

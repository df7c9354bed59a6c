"""A thread that is not joined and raises at the end prints its traceback."""

import threading

go = threading.Event()


def fail():
    go.wait()
    raise LookupError("late")


threading.Thread(target=fail, name="late worker").start()
threading.Timer(0.05, go.set).start()

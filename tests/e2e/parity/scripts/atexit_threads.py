"""Functions for the exit are called when all threads have ended."""

import atexit
import threading
import time

atexit.register(print, "at exit")


def work():
    time.sleep(0.05)
    print("the thread ends")


threading.Thread(target=work).start()

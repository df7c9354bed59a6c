"""A thread interrupts the main thread."""

import _thread
import threading
import time

try:
    threading.Timer(0.05, _thread.interrupt_main).start()
    while True:
        time.sleep(0.01)
except KeyboardInterrupt:
    print("interrupted")

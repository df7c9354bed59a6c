"""``sys.exit`` in a thread ends that thread alone, without a word."""

import sys
import threading

thread = threading.Thread(target=sys.exit, args=(3,))
thread.start()
thread.join()
print("goes on")

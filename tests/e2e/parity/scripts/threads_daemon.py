"""A daemon thread that waits for ever does not hold the script up."""

import threading

thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
print(thread.daemon, thread.is_alive())

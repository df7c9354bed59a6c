"""The script runs in the main thread."""

import threading

thread = threading.current_thread()
print(thread is threading.main_thread(), thread.name, type(thread).__name__, threading.active_count())
print(threading.get_ident() == threading.main_thread().ident, threading.enumerate() == [thread])

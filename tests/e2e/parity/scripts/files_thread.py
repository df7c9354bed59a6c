"""A file that a thread holds is flushed at the end."""

import threading


def work():
    threading.current_thread().file = open("files_thread.txt", "w")
    threading.current_thread().file.write("by a thread\n")


thread = threading.Thread(target=work)
thread.start()
thread.join()

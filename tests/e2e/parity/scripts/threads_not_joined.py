"""A thread that is not joined ends before the script has ended."""

import threading
import time


def work():
    time.sleep(0.1)
    print("the thread")
    with open("threads_not_joined.txt", "w") as file:
        file.write("written by the thread")


threading.Thread(target=work).start()
print("the script")

"""A thread that is not joined ends before the script has ended."""

import threading
import time

go = threading.Event()


def work():
    go.wait()
    time.sleep(0.05)
    print("the thread")
    with open("threads_not_joined.txt", "w") as file:
        file.write("written by the thread")


threading.Thread(target=work).start()
print("the script")
go.set()

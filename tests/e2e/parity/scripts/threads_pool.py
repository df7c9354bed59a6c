"""Work of a pool that is not shut down is done before the script ends."""

import threading
from concurrent.futures import ThreadPoolExecutor

go = threading.Event()


def work(number):
    go.wait()
    print("work", number)


pool = ThreadPoolExecutor(1)
for number in range(4):
    pool.submit(work, number)
print("the script ends")
go.set()

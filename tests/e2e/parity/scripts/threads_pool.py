"""Work of a pool that is not shut down is done before the script ends."""

import time
from concurrent.futures import ThreadPoolExecutor


def work(number):
    time.sleep(0.01)
    print("work", number)


pool = ThreadPoolExecutor(1)
for number in range(4):
    pool.submit(work, number)
print("the script ends")

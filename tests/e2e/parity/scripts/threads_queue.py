"""A queue between threads, with a sentinel."""

import queue
import threading

numbers = queue.Queue(2)


def produce():
    for number in range(5):
        numbers.put(number)
    numbers.put(None)


threading.Thread(target=produce).start()
print(sum(iter(numbers.get, None)))

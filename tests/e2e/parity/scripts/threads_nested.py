"""Threads of threads print as the script does, and see its globals."""

import threading

found = []


def inner(number):
    found.append(number)
    print("inner", number)


def outer(number):
    thread = threading.Thread(target=inner, args=(number,))
    thread.start()
    thread.join()


for number in range(3):
    thread = threading.Thread(target=outer, args=(number,))
    thread.start()
    thread.join()
print(found)

"""Processes that are not joined are waited for at the end, daemons are ended."""

import multiprocessing
import time


def write(lock):
    with lock, open("multiprocessing_children.txt", "w") as file:
        file.write("written at the end")


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    lock = context.Lock()
    lock.acquire()
    context.Process(target=write, args=(lock,)).start()
    context.Process(target=time.sleep, args=(100,), daemon=True).start()
    print(len(multiprocessing.active_children()))
    lock.release()

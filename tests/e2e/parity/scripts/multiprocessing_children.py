"""Processes that are not joined are waited for at the end, daemons are ended."""

import multiprocessing
import time


def write(go):
    go.wait()
    with open("multiprocessing_children.txt", "w") as file:
        file.write("written at the end")


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    go = context.Event()
    context.Process(target=write, args=(go,)).start()
    context.Process(target=time.sleep, args=(100,), daemon=True).start()
    print(len(multiprocessing.active_children()))
    go.set()

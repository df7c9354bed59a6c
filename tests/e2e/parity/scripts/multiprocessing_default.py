"""The way of this version of Python to start processes."""

import multiprocessing


def work(queue, text):
    queue.put(text.upper())


if __name__ == "__main__":
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=work, args=(queue, "text"))
    process.start()
    print(queue.get())
    process.join()
    print(process.exitcode)

"""A value in shared memory, a lock, and a pipe."""

import multiprocessing


def add(value, connection):
    for _ in range(100):
        with value.get_lock():
            value.value += 1
    connection.send("done")


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    value, (receiver, sender) = context.Value("i", 0), context.Pipe(duplex=False)
    processes = [context.Process(target=add, args=(value, sender)) for _ in range(2)]
    for process in processes:
        process.start()
    print([receiver.recv() for _ in processes], [process.join() for process in processes], value.value)

"""A manager's process holds objects that others change."""

import multiprocessing


def work(shared, key):
    shared[key] = key * 2


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        shared = manager.dict()
        processes = [context.Process(target=work, args=(shared, key)) for key in "ab"]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        print(dict(sorted(shared.items())))

"""A pool of processes by ``concurrent.futures``; an exception comes back with its traceback."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def reciprocal(number):
    return 1 / number


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        print(list(pool.map(reciprocal, [1, 2, 4])))
        print(repr(pool.submit(reciprocal, 0).exception()))

"""A pool of processes that is not shut down ends with the script."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def write(text):
    with open(f"multiprocessing_executor_left_{text}.txt", "w") as file:
        file.write(text)


if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    for text in ("a", "b"):
        pool.submit(write, text)

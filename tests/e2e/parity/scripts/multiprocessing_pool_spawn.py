"""Processes that are spawned import the script again, under another name."""

import multiprocessing


def name_of_module(_):
    return __name__


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(name_of_module, [1]), __name__)

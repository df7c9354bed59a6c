"""A script sets another way in which its processes start."""

import multiprocessing
import time

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    time.sleep(0.05)
    print(multiprocessing.get_start_method(), type(multiprocessing.get_context()).__name__)

"""A pool gives results in order, and an exception with its traceback."""

from concurrent.futures import ThreadPoolExecutor, as_completed, wait

with ThreadPoolExecutor(4, thread_name_prefix="parity") as pool:
    print(list(pool.map(pow, range(5), [2] * 5)))
    futures = [pool.submit(divmod, 7, number) for number in (2, 3)]
    print(sorted(future.result() for future in as_completed(futures)), len(wait(futures).done))
    pool.submit(lambda: 1 // 0).result()

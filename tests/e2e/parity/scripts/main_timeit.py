"""``timeit`` can import from ``__main__`` in its setup."""

import timeit

calls = 0


def work():
    global calls
    calls += 1


timeit.timeit("work()", "from __main__ import work", number=5)
timeit.repeat(work, number=2, repeat=2)
timeit.timeit("work()", globals=globals(), number=1)
print(calls)

"""A higher limit allows a deeper recursion."""

import sys

sys.setrecursionlimit(20_000)


def depth(number):
    return 0 if number == 0 else 1 + depth(number - 1)


print(depth(15_000))

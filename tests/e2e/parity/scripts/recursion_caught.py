"""A recursion without an end raises RecursionError, and the script goes on."""

import sys


def forever(number):
    return forever(number + 1)


try:
    forever(0)
except RecursionError as error:
    print(error)
print(sys.getrecursionlimit())

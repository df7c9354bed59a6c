"""A function that traces the script sees its calls."""

import sys

calls = []


def trace(frame, event, arg):
    calls.append((event, frame.f_code.co_name))


def work():
    return 1


sys.settrace(trace)
work()
sys.settrace(None)
print(calls)

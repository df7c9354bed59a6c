"""A limit on the length of tracebacks is the script's own."""

import sys
import time


def fail():
    raise ValueError("shortened")


sys.tracebacklimit = 1
time.sleep(0.05)
fail()

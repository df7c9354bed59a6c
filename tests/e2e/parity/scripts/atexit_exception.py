"""Functions for the exit are called after the traceback; files that they write are complete."""

import atexit
import sys


@atexit.register
def write():
    print("after the traceback", file=sys.stderr)
    global file
    file = open("atexit_exception.txt", "w")
    file.write("by atexit\n")


raise ValueError("the end")

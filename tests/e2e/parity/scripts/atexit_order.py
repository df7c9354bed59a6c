"""Functions for the exit are called last in, first out, with their arguments."""

import atexit

atexit.register(print, "registered first")
atexit.register(print, "registered second", end="!\n")


@atexit.register
def removed():
    print("not called")


atexit.unregister(removed)
print("the script ends")

"""A function for the exit that calls ``sys.exit`` changes nothing."""

import atexit
import sys

atexit.register(sys.exit, 3)
print("ends well")

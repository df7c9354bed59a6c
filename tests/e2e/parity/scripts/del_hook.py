"""A hook of the script gets the exceptions that cannot be raised."""

import sys


class Broken:
    def __del__(self):
        raise ValueError("for the hook")


sys.unraisablehook = lambda args: print("hook:", args.exc_value)
Broken()
print("goes on")

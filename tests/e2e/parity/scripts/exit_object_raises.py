"""``sys.exit`` of an object that cannot be printed ends the script badly."""

import sys


class Reason:
    def __str__(self):
        raise ValueError("no text")


sys.exit(Reason())

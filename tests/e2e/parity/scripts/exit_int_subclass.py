"""``sys.exit`` of a number of a class of its own is that number."""

import sys


class Code(int):
    def __str__(self):
        return "not shown"

    def __eq__(self, other):
        return False


sys.exit(Code(0))

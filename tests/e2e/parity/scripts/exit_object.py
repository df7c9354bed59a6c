"""``sys.exit`` of an object prints it by its ``__str__``."""

import sys


class Reason:
    def __str__(self):
        return "for a reason"


sys.exit(Reason())

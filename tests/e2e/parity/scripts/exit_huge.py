"""``sys.exit`` of a number that no C long holds is 255."""

import sys

sys.exit(2**100)

"""``sys.exit`` of a tuple prints it."""

import sys

sys.exit((1, 2))

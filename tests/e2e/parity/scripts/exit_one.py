"""``sys.exit(1)`` ends a script badly, without a word."""

import sys

sys.exit(1)

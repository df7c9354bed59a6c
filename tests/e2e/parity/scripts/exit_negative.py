"""``sys.exit(-1)`` is 255."""

import sys

sys.exit(-1)

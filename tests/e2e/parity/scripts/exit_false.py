"""``sys.exit(False)`` is 0."""

import sys

sys.exit(False)

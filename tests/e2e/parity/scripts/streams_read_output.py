"""Standard output cannot be read."""

import sys

sys.stdout.read()

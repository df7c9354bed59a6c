"""Standard output replaced by a wrapper with an encoding that is not UTF-8, and never flushed."""

import io
import sys

sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="latin-1")
print("latin \u00e9")

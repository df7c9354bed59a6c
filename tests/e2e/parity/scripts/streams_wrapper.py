"""Standard output replaced by a wrapper over its own buffer, the usual way to force an encoding."""

import io
import sys

sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", errors="replace", line_buffering=True)
print("wrapped \u00e9")
print(sys.stdout.encoding, sys.stdout.errors)

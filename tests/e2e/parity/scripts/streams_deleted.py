"""Without ``sys.stdout`` print raises RuntimeError."""

import sys

del sys.stdout
print("lost")

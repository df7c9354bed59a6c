"""With ``sys.stdout = None`` print does nothing."""

import sys

print("shown")
sys.stdout = None
print("not shown")

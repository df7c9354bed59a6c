"""Standard output that the script has closed; a further ``print`` raises ValueError."""

import sys

print("before")
sys.stdout.close()
print(sys.stdout.closed, file=sys.stderr)
print("after")

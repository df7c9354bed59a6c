"""``sys.exit(0)`` ends a script well, and ``finally`` runs."""

import sys

try:
    sys.exit(0)
finally:
    print("finally")

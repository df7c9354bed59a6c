"""A script that closes its standard output at its end is ok."""

import sys

print("before")
sys.stdout.flush()
sys.stdout.close()

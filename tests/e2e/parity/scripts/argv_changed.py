"""A script that changes its arguments changes nobody else's."""

import sys
import time

sys.argv[1:] = ["--changed", "argv_changed"]
time.sleep(0.05)
print(sys.argv[1:])

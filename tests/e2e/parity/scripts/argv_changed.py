"""A script that changes its own arguments leaves the arguments of other scripts alone."""

import sys
import time

sys.argv[1:] = ["--changed", "argv_changed"]
time.sleep(0.05)
print(sys.argv[1:])

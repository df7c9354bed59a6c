"""A script that replaces its list of arguments leaves the arguments of other scripts alone."""

import getopt
import sys
import time

sys.argv = ["replaced", "-v", "rest"]
time.sleep(0.05)
print(getopt.getopt(sys.argv[1:], "v"), sys.argv)

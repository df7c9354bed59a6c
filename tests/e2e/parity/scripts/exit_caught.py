"""A SystemExit that the script catches does not end it."""

import sys

try:
    sys.exit(3)
except SystemExit as error:
    print("caught", error.code)
try:
    sys.exit(4)
except:
    print("caught again")

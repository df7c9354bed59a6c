"""``sys.exit(0.0)`` prints the number and ends the script badly."""

import sys

sys.exit(0.0)

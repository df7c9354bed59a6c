"""``sys.exit`` of an empty tuple prints it and ends the script badly."""

import sys

sys.exit(())

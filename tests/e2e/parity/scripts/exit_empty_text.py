"""``sys.exit`` of an empty text prints an empty line and ends the script badly."""

import sys

sys.exit("")

"""``sys.exit`` of a text prints it to standard error."""

import sys

sys.exit("no more, \u00e9 \ud800")

"""Standard error escapes characters that UTF-8 does not have."""

import sys

print("\ud800 and \udcff", file=sys.stderr)

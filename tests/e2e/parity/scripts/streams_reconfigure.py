"""``reconfigure`` changes the encoding and what becomes of characters that it does not have."""

import sys

sys.stdout.reconfigure(encoding="ascii", errors="backslashreplace")
print("\u00e9", sys.stdout.encoding, sys.stdout.errors)
sys.stdout.reconfigure(errors="xmlcharrefreplace")
print("\u00e9")

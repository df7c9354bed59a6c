"""``input`` reads from a standard input that the script has replaced."""

import io
import sys

sys.stdin = io.StringIO("first\nsecond\n")
print([input("prompt "), input()])

"""Standard input is at its end."""

import sys

print(repr(sys.stdin.read()), sys.stdin.readline() == "", list(sys.stdin), sys.stdin.buffer.read())

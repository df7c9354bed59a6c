"""``print`` with its options, and a last line without an end."""

import sys

print("a", "b", sep="-", end="|")
print("progress 1\rprogress 2\r", end="", flush=True)
print()
print(*range(3), file=sys.stderr)
print("\x00\t\x1b[1mbold\x1b[m")
sys.stdout.writelines(["x\n", "y\n"])
print(sys.stdout.write("four"), end="")

"""Standard output replaced by a file that is never closed."""

import sys

sys.stdout = open("streams_to_file.txt", "w")
print("in the file")
print("not in the file", file=sys.__stdout__)

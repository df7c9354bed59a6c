"""Bytes written to the descriptors of the standard streams."""

import os

print("text", flush=True)
os.write(1, b"by the descriptor\n")
os.write(2, b"by the other one\n")
with open(1, "w", closefd=False) as stream:
    stream.write("by a second file\n")
os.system("echo by the shell")

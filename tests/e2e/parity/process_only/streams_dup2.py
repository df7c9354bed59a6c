"""A descriptor that the script redirects to a file, and back."""

import os

print("before", flush=True)
saved = os.dup(1)
file = os.open("streams_dup2.txt", os.O_WRONLY | os.O_CREAT)
os.dup2(file, 1)
print("in the file", flush=True)
os.system("echo and a command")
os.dup2(saved, 1)
print("after")

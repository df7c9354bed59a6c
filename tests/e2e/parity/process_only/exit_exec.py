"""A script that becomes another program."""

import os

print("before", flush=True)
os.execvp("echo", ["echo", "another program"])

"""A command that takes too long is ended."""

import subprocess

try:
    subprocess.run(["sleep", "60"], timeout=0.05)
except subprocess.TimeoutExpired as error:
    print(error.cmd, round(error.timeout))

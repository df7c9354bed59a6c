"""A variable that is set past ``os.environ`` reaches commands."""

import os
import subprocess

os.putenv("ENVIRON_PUT", "past the mapping")
print(subprocess.run("echo $ENVIRON_PUT", shell=True, capture_output=True).stdout)

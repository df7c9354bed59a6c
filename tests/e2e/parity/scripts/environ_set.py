"""Commands see variables that the script sets."""

import os
import subprocess

os.environ["ENVIRON_SET"] = "by the script"
os.putenv("ENVIRON_PUT", "past the mapping")
print(subprocess.run("echo $ENVIRON_SET $ENVIRON_PUT", shell=True, capture_output=True).stdout)
del os.environ["ENVIRON_SET"]
print(os.getenv("ENVIRON_SET", "gone"), os.environ["ENVIRON_SET_TOO"])

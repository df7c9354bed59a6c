"""Commands see variables that the script sets."""

import os
import subprocess

os.environ["ENVIRON_SET"] = "by the script"
print(subprocess.run("echo $ENVIRON_SET", shell=True, capture_output=True).stdout)
del os.environ["ENVIRON_SET"]
print(os.getenv("ENVIRON_SET", "gone"), os.environ["ENVIRON_SET_TOO"])

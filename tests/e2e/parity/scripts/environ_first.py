"""Two scripts that set the same variable keep their own values: the first."""

import os
import subprocess
import time

os.environ["ENVIRON_SHARED"] = "first"
time.sleep(0.1)
print(os.environ["ENVIRON_SHARED"], subprocess.getoutput("echo $ENVIRON_SHARED"))

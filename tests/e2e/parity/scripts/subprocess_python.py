"""Another Python, with the script's environment and none of its state."""

import subprocess
import sys

code = "import sys; print(len(sys.argv), sys.stdin.read(), __name__); sys.exit(len(sys.path) == 0)"
print(subprocess.run([sys.executable, "-c", code], input="given", capture_output=True, text=True).stdout)

"""Commands write to the script's own standard output, in order."""

import subprocess
import sys

print("first", flush=True)
subprocess.run(["echo", "second"])
subprocess.run("echo third >&2", shell=True)
subprocess.run(["echo", "fourth"], stdout=sys.stdout, check=True)
print("fifth")

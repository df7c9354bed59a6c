"""Output, errors and the exit status of a command."""

import subprocess

done = subprocess.run("echo out; echo err >&2; exit 3", shell=True, capture_output=True, text=True)
print(done)
print(subprocess.check_output(["cat"], input=b"by a pipe"), subprocess.getoutput("echo x"))
subprocess.run(["false"], check=True)

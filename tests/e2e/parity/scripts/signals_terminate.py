"""A command that is asked to end, ends by that signal."""

import subprocess

process = subprocess.Popen(["sleep", "60"])
process.terminate()
print(process.wait())

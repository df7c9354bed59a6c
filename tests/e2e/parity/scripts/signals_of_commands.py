"""Commands start with no signal blocked, and ignore only what the script ignores."""

import subprocess

command = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
print(subprocess.run(command, capture_output=True, text=True).stdout)
print(subprocess.run(command, capture_output=True, text=True, restore_signals=False).stdout)

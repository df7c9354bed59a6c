"""Commands start with no signal blocked, and ignore only what the script ignores."""

import subprocess

command = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
for restore in (True, False):
    lines = subprocess.run(command, capture_output=True, text=True, restore_signals=restore).stdout.splitlines()
    # The C library itself ignores signals 32 and 33 in what it spawns.
    print([f"{line[:6]} {int(line[7:], 16) & 0x7FFFFFFF:x}" for line in lines])

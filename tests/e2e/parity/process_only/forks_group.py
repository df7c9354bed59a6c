"""A script may lead a group of processes of its own, and end it."""

import os
import signal
import subprocess

if os.getpid() != os.getsid(0):
    os.setpgid(0, 0)
process = subprocess.Popen(["sleep", "60"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.killpg(os.getpgrp(), signal.SIGTERM)
print(process.wait())

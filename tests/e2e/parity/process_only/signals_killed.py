"""A script that is ended by a signal has failed, and what it has flushed is printed."""

import os
import signal

print("before", flush=True)
os.kill(os.getpid(), signal.SIGKILL)

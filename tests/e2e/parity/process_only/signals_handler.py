"""A handler of the script gets a signal that the script sends to itself."""

import os
import signal

signal.signal(signal.SIGUSR1, lambda number, frame: print("got", signal.Signals(number).name))
os.kill(os.getpid(), signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGINT)

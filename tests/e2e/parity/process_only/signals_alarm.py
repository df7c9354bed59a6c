"""An alarm interrupts a call that waits."""

import signal
import time


def alarm(number, frame):
    raise TimeoutError("too long")


signal.signal(signal.SIGALRM, alarm)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(60)
except TimeoutError as error:
    print(error)

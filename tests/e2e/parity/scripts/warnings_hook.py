"""A function of the script shows its warnings."""

import time
import warnings


def show(message, category, filename, lineno, file=None, line=None):
    print("shown by the script:", category.__name__, message, lineno)


warnings.showwarning = show
time.sleep(0.05)
warnings.warn("for the hook")

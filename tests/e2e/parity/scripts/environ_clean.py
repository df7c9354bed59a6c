"""A script sees no variable that another script sets."""

import os
import time

time.sleep(0.05)
print(sorted(name for name in os.environ if name.startswith("ENVIRON_")))

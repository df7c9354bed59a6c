"""A filter of the script hides warnings."""

import time
import warnings

warnings.filterwarnings("ignore")
time.sleep(0.05)
warnings.warn("hidden")
print("nothing shown")

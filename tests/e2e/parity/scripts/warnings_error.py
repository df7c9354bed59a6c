"""A filter of the script turns warnings into errors."""

import time
import warnings

warnings.simplefilter("error")
time.sleep(0.05)
warnings.warn("as an error")

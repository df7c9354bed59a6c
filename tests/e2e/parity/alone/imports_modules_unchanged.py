"""A script finds the modules of Python as they are, and none that another script has invented."""

import time

time.sleep(0.02)
import colorsys

print(colorsys.rgb_to_hsv(1, 1, 1))
import parity_invented

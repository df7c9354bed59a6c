"""Modules that a script puts into ``sys.modules``, or takes out of it, are its own matter."""

import sys
import time
import types

sys.modules["parity_invented"] = types.ModuleType("parity_invented")
sys.modules["colorsys"] = None
time.sleep(0.05)
import parity_invented

print(parity_invented.__name__)
import colorsys

"""The collector is on, with its usual limits, and a script's changes are its own."""

import gc

print(gc.isenabled(), gc.get_threshold())
gc.disable()
gc.set_threshold(5)
print(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())

"""``import __main__`` gives the script itself, for reading and for writing."""

import sys

import __main__

value = 1
print(__main__.value, sys.modules["__main__"] is __main__, __main__.__dict__ is globals())
__main__.value = 2
setattr(sys.modules["__main__"], "other", 3)
print(value, other)
del __main__.other
print("other" in globals())

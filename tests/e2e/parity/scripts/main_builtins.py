"""``exit``, ``quit`` and ``__builtins__`` are there; ``__debug__`` is true."""

import builtins

print(__builtins__ is builtins, exit, __debug__, callable(quit), copyright is not None)
print(__doc__, __package__, __spec__)

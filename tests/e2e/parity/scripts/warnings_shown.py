"""Warnings are shown with the script's line, deprecations as well, each location once."""

import warnings


def old():
    warnings.warn("use something newer", DeprecationWarning, stacklevel=2)


for _ in range(3):
    old()
old()
warnings.warn("a plain one")
warnings.warn("not by default", ImportWarning)

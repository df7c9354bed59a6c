"""A warning that is located below the bottom of the stack belongs to Python itself."""

import warnings

warnings.warn("of the caller of the script", UserWarning, stacklevel=2)
warnings.warn("not shown: not of the script", DeprecationWarning, stacklevel=3)

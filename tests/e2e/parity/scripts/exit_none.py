"""``sys.exit()`` ends a script well."""

import sys

sys.exit()

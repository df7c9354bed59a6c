"""The system keeps the lowest eight bits: ``sys.exit(256)`` ends a script well."""

import sys

sys.exit(256)

"""Contexts of the library are at their defaults, and a script's changes are its own."""

import decimal
import time

print(decimal.getcontext().prec)
decimal.getcontext().prec = 5
time.sleep(0.03)
print(decimal.Decimal(1) / 3)

"""Contexts of the library are at their defaults: another script that changes them."""

import decimal
import time

print(decimal.getcontext().prec)
decimal.getcontext().prec = 7
time.sleep(0.03)
print(decimal.Decimal(1) / 3)

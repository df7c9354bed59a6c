"""KeyboardInterrupt ends a script badly, with its traceback."""

try:
    raise KeyboardInterrupt
finally:
    print("finally")

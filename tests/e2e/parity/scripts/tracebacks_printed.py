"""``traceback`` prints where an exception came from, and the script goes on."""

import sys
import traceback


def fail():
    raise ValueError("printed")


try:
    fail()
except ValueError as error:
    traceback.print_exc()
    traceback.print_exc(file=sys.stdout)
    print([(frame.name, frame.lineno, frame.line) for frame in traceback.extract_tb(error.__traceback__)])
    print(traceback.format_exception_only(error))

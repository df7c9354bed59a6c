"""The stack of a script begins with the script."""

import inspect
import sys
import traceback


def look():
    print([(frame.name, frame.lineno) for frame in traceback.extract_stack()])
    print(len(inspect.stack()), sys._getframe(1).f_code.co_name, sys._getframe(1).f_back)


look()

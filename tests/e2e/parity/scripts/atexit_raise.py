"""A function for the exit that raises is reported; the script ends well."""

import atexit


@atexit.register
def fail():
    raise ValueError("at exit")


atexit.register(print, "called first")

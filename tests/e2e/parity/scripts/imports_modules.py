"""Only what a script imports is in its way: names of the program that runs it are not in ``__main__``."""

import sys

import __main__

print(hasattr(__main__, "fastrun"), hasattr(__main__, "console_script"), "json" in sys.modules or "no matter")

"""A module that the script writes beside itself can be imported, and sees the script as ``__main__``."""

import sys

with open("imports_helper_module.py", "w") as file:
    file.write("import __main__\n\ndef ask():\n    return __main__.answer\n")
sys.dont_write_bytecode = True
answer = 42
import imports_helper_module

print(imports_helper_module.ask(), imports_helper_module.__name__)

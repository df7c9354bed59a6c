"""An error in a module that the script has written shows both files."""

import os
import sys

with open("tracebacks_import_module.py", "w") as file:
    file.write("def fail():\n    return missing\n")
import tracebacks_import_module

tracebacks_import_module.__file__ = None
print(os.path.basename(tracebacks_import_module.fail.__code__.co_filename), len(sys.argv))
del tracebacks_import_module.fail.__code__

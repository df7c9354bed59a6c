"""A package that the script writes, with a relative import and an error in it."""

import importlib
import os

os.mkdir("imports_package_pkg")
for name, text in (("__init__", "from .part import value\n"), ("part", "value = 3\n"), ("broken", "1 / 0\n")):
    with open(f"imports_package_pkg/{name}.py", "w") as file:
        file.write(text)
importlib.invalidate_caches()
import imports_package_pkg

print(imports_package_pkg.value, importlib.import_module("imports_package_pkg.part").value)
try:
    import imports_package_pkg.broken
except ZeroDivisionError:
    print("broken")

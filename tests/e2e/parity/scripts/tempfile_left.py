"""Temporary files and folders that the script does not close are gone at its end."""

import os
import tempfile

folder = tempfile.TemporaryDirectory(dir=".", prefix="tempfile_left")
named = tempfile.NamedTemporaryFile(dir=".", prefix="tempfile_left", mode="w")
named.write("for a moment")
with open(os.path.join(folder.name, "inside"), "w") as file:
    file.write("text")
print(os.path.exists(folder.name), os.path.exists(named.name))

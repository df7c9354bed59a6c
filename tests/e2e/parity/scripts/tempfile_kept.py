"""A spooled file, and a temporary folder as a context."""

import os
import tempfile

with tempfile.TemporaryDirectory() as folder, tempfile.SpooledTemporaryFile(10, "w+") as spooled:
    spooled.write("more than ten characters")
    spooled.seek(0)
    print(spooled.read(), os.listdir(folder))
print(os.path.exists(folder))

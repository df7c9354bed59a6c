"""A script's changes of ``sys.path`` are its own."""

import sys
import time

before = len(sys.path)
sys.path.append("/nonexistent/of/imports_path_own")
sys.path = [*sys.path, "/nonexistent/too"]
time.sleep(0.05)
print(len(sys.path) - before, [entry for entry in sys.path if entry.startswith("/nonexistent")])

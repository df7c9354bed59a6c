"""Two scripts that import modules of the same name from folders of their own get their own: the second."""

import os
import sys
import time

os.mkdir("imports_path_second")
with open("imports_path_second/parity_settings.py", "w") as file:
    file.write("value = 'second'\n")
sys.path.insert(0, os.path.abspath("imports_path_second"))
time.sleep(0.05)
import parity_settings

print(parity_settings.value)

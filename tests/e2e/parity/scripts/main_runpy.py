"""Another script that the script writes can be run as ``__main__`` by ``runpy``."""

import __main__
import runpy

with open("main_runpy_other.txt", "w") as file:
    file.write("import __main__\nmine = __name__\nprint(mine, __main__.__name__)\n")
print(runpy.run_path("main_runpy_other.txt", run_name="__main__")["mine"])
print(runpy.run_path("main_runpy_other.txt")["mine"], "mine" in vars(__main__))

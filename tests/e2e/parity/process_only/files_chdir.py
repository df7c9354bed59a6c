"""A script that changes its working directory finds its files there."""

import contextlib
import os

os.mkdir("files_chdir")
os.chdir("files_chdir")
with open("inside.txt", "w") as file:
    file.write("inside")
print(os.path.basename(os.getcwd()), os.listdir())
with contextlib.chdir(".."):
    print(os.path.basename(os.getcwd()) == "files_chdir")

"""A mask for the modes of files is the script's own."""

import os
import stat

os.umask(0o077)
with open("files_umask.txt", "w"):
    pass
print(oct(stat.S_IMODE(os.stat("files_umask.txt").st_mode)))

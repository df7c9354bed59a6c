"""A file is flushed also when the script ends by ``sys.exit``."""

import sys


def main():
    file = open("files_exit.txt", "w")
    file.write("before the exit\n")
    sys.exit(file.write("and one more line\n") and 3)


main()

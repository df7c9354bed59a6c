"""``os._exit`` ends the script at once: nothing is flushed, no ``finally`` runs."""

import os

file = open("exit_os_exit.txt", "w")
file.write("lost")
try:
    os._exit(0)
finally:
    print("never")

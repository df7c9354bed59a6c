"""Output redirected to a file, from a thread of the script as well."""

import contextlib
import threading

with open("streams_redirect_file.txt", "w") as file, contextlib.redirect_stdout(file):
    print("to the file")
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
print("back again")

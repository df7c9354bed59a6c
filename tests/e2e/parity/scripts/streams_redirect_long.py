"""Overlapping redirections of several scripts do not mix: this one lasts longer."""

import contextlib
import io
import time

text = io.StringIO()
with contextlib.redirect_stdout(text):
    for number in range(10):
        print("line", number)
        time.sleep(0.02)
print(len(text.getvalue().splitlines()))
with contextlib.redirect_stdout(None):
    print("nowhere")

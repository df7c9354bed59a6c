"""Code that has run often sees the same streams, arguments and environment as code that runs once."""

import contextlib
import io
import os
import sys


def look():
    return type(sys.stdout).__name__, len(sys.argv), type(sys.stdin).__name__, os.environ.get("STREAMS_OFTEN")


def run(text):
    before = sys.stdout
    sys.stdout = text
    try:
        print("for the text")
        before.write("for the output before\n")
        return look()
    finally:
        sys.stdout = before


os.environ["STREAMS_OFTEN"] = "set"
sys.argv.append("word")
print({look() for _ in range(3000)})
print({run(io.StringIO()) for _ in range(30)})
text = io.StringIO()
with contextlib.redirect_stdout(text):
    print({look() for _ in range(30)})
print(text.getvalue(), end="")

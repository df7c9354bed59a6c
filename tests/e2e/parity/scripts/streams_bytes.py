"""Bytes and text in the order in which they are written and flushed, valid UTF-8 or not."""

import sys

print("text")
sys.stdout.flush()
sys.stdout.buffer.write(b"bytes \xff\xfe\n")
sys.stdout.buffer.flush()
sys.stdout.buffer.writelines([b"a\n", b"b\n"])
sys.stdout.flush()
sys.stderr.buffer.write(b"\x80\n")
sys.stdout.write("end")

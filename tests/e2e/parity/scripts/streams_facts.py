"""What libraries ask of the standard streams."""

import io
import sys

for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.isatty(), stream.encoding, stream.name, stream.mode, stream.closed)
    print(stream.readable(), stream.writable(), stream.newlines, isinstance(stream, io.TextIOBase))
print(sys.stdout.fileno(), sys.stderr.fileno())
print(sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__, sys.stdin is sys.__stdin__)

"""What libraries ask of the standard streams."""

import io
import sys

for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.isatty(), stream.encoding, stream.errors, stream.name, stream.mode, stream.fileno(), stream.closed)
    print(stream.readable(), stream.writable(), stream.newlines, isinstance(stream, io.TextIOBase))
print(sys.stdout.line_buffering, sys.stdout.write_through, sys.stderr.line_buffering)
print(sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__, sys.stdin is sys.__stdin__)

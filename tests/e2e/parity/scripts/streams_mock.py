"""``mock.patch`` looks into the dictionary of ``sys`` and puts back what it has found there."""

import io
import sys
from unittest import mock

with mock.patch("sys.stdout", io.StringIO()) as out:
    print("caught")
with mock.patch("sys.stderr") as err, mock.patch("sys.stdin", io.StringIO("typed\n")):
    print("caught too", file=sys.stderr)
    print(input())
with mock.patch.object(sys, "argv", ["name", "word"]), mock.patch.dict("os.environ", {"STREAMS_MOCK": "1"}):
    print(sys.argv)
print([out.getvalue()], err.write.called, sys.stdin.read(), sys.stdout is sys.__stdout__)

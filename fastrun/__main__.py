"""``python -m fastrun``: the exit code is all that happens here."""

from fastrun.cli import console_script

console_script()

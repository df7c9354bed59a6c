"""Checks options against each other: options that do not go together, and files that would be written twice.

Knows options and paths. Does not know what is written.
"""

import argparse
import os
from contextlib import suppress

from fastrun.cli.options import LOOKING, WRITING
from fastrun.cli.parser import Parser


def check(made: Parser, options: argparse.Namespace) -> None:
    """Leave with an error if options do not go together."""
    if options.file is None:
        made.error("a FILE is needed ('-' for standard input)")
    for option in ("resume", "rerun", "durable"):
        if getattr(options, option) and options.journal is None:
            made.error(f"--{option} needs --journal FILE")
    if options.what_if is not None and options.journal is None:
        made.error("--what-if needs --journal FILE")
    if options.rerun and not options.resume:
        made.error("--rerun needs --resume")
    looks = [f"--{option.replace('_', '-')}" for option in LOOKING if getattr(options, option) not in (None, False)]
    if len(looks) > 1:
        made.error(f"{' and '.join(looks)}: one at a time")


def check_files(made: Parser, options: argparse.Namespace) -> None:
    """Leave with an error if a file that is to be written is the document, or another such file."""
    taken = {} if options.file == "-" else {_identity(options.file): "the document"}
    for option in ("journal", *WRITING):
        file = getattr(options, option)
        if file == "-" and option != "json":
            made.error(f"--{option} needs a file: standard output is for what is printed, or for --json")
        # Several options may write to the same device.
        if file in (None, "-") or (os.path.exists(file) and not os.path.isfile(file)):
            continue
        identity = _identity(file)
        # The journal itself refuses a file that is no journal.
        if identity in taken and option != "journal":
            made.error(f"--{option} would write over {taken[identity]}: {file}")
        taken[identity] = f"the file of --{option}"


def _identity(path: str) -> tuple[int, int] | str:
    """Return what all paths that lead to the same file have in common, by whatever names or links."""
    try:
        found = os.stat(path)
    except OSError:
        # The file is not there yet. The current directory may be missing as well.
        with suppress(OSError):
            return os.path.realpath(path)
        return path
    return found.st_dev, found.st_ino

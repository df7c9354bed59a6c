"""Prints what fastrun knows of itself: its schemas, and scripts that complete its options."""

import argparse
import os

from fastrun.cli.options import SCHEMAS
from fastrun.cli.parser import Parser
from fastrun.cli.say import put, usage_error
from fastrun.document.task import SCHEMA_PATH
from fastrun.observers.files.events import EVENTS_SCHEMA_PATH


def print_schema(made: Parser, options: argparse.Namespace) -> int:
    """Print the schema that is asked for. Returns the exit code."""
    if options.file is not None and not os.path.exists(options.file):
        made.error(f"no schema of {options.file!r}: choose {' or '.join(SCHEMAS)}")
    with open(EVENTS_SCHEMA_PATH if options.schema == "events" else SCHEMA_PATH, encoding="utf-8") as file:
        return put(file)


def print_completion(made: Parser, shell: str) -> int:
    """Print the script that completes options and files in a shell. Returns the exit code."""
    try:
        import shtab
    except ImportError:
        raise usage_error(
            "--print-completion needs the package shtab: pip install '.[completion]' in fastrun's checkout"
        ) from None
    for action in made.options:
        if action.metavar in ("FILE", "DIR"):
            # What shtab looks for.
            vars(action)["complete"] = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY
    return put([str(shtab.complete(made, shell)), "\n"])

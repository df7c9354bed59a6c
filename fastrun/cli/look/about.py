"""Prints what fastrun knows of itself: its schemas, and scripts that complete its options."""

import argparse
import os
from pathlib import Path

from fastrun.cli.options import SCHEMAS
from fastrun.cli.parser import Parser
from fastrun.cli.say import put
from fastrun.document.task import SCHEMA_PATH
from fastrun.observers.files.events import EVENTS_SCHEMA_PATH

# The folder of the scripts, and the name of each, by which its shell finds it where it is installed.
COMPLETIONS = Path(__file__).parents[1] / "completions"
SCRIPTS = {"bash": "fastrun", "zsh": "_fastrun", "fish": "fastrun.fish"}


def print_schema(made: Parser, options: argparse.Namespace) -> int:
    """Print the schema that is asked for. Returns the exit code."""
    if options.file is not None and not os.path.exists(options.file):
        made.error(f"no schema of {options.file!r}: choose {' or '.join(SCHEMAS)}")
    with open(EVENTS_SCHEMA_PATH if options.schema == "events" else SCHEMA_PATH, encoding="utf-8") as file:
        return put(file)


def print_completion(shell: str) -> int:
    """Print the script that completes options, files and names of tasks in a shell. Returns the exit code."""
    return put([(COMPLETIONS / SCRIPTS[shell]).read_text(encoding="utf-8")])

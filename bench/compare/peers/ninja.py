"""ninja, on the same commands with the same dependencies.

Its commands never make the files that they are said to make, so all of them are out of date and run at each start.
Biased in its favour: one pipe per command, while fastrun has two and a session, and one line of output per command,
while fastrun prints two and a report. Biased against it: it looks for the files first and writes a log.
"""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from typing import Any

from bench.compare.peers import Unavailable, command_text

NAME = "ninja"
KNOWS_DEPENDENCIES = True


def version() -> str:
    """Return what ``ninja --version`` prints."""
    result = subprocess.run([find(), "--version"], capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.strip()


def prepare(document: dict[str, Any], folder: str) -> None:
    """Write ``build.ninja`` for a document of one-line commands whose names need no escapes."""
    commands = {command_text(task): "" for task in document["tasks"]}
    lines = []
    for number, text in enumerate(commands):
        commands[text] = f"command{number}"
        lines += [f"rule command{number}", f"  command = {text.replace('$', '$$')}"]
    for task in document["tasks"]:
        lines.append(" ".join([f"build {task['name']}:", commands[command_text(task)], *task.get("dependencies", ())]))
    with open(os.path.join(folder, "build.ninja"), "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run the build file, after removing the log of the previous run."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, ".ninja_log"))
    return [find(), "-C", folder, "-j", str(jobs)]


def find() -> str:
    """Return the path of ninja: beside this interpreter, where the PyPI package puts it, or on the path."""
    found = shutil.which("ninja", path=os.path.dirname(sys.executable)) or shutil.which("ninja")
    if found is None:
        raise Unavailable("ninja is not installed")
    return found

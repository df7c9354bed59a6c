"""The peer for commands: ninja, on the same commands with the same dependencies.

Its commands are to make files that they never make, so every one is out of date and runs, at each start. Biased
in its favour: one pipe per command, where fastrun has two and a session for each. Biased against it: it looks for
the files first and writes a log.
"""

import os
import shutil
import subprocess
import sys

from bench.generators import Document
from bench.measure import Unavailable


def find_ninja() -> str:
    """The path of ninja: beside this interpreter, as the PyPI package puts it, or on the path.

    Raises Unavailable where there is none.
    """
    found = shutil.which("ninja", path=os.path.dirname(sys.executable)) or shutil.which("ninja")
    if found is None:
        raise Unavailable("ninja is not installed")
    return found


def ninja_version(program: str) -> str:
    """What ``ninja --version`` says."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def write_build_file(document: Document, folder: str) -> None:
    """Write ``build.ninja`` for a document of one-line commands whose names need no escapes."""
    commands = {task["arguments"]: "" for task in document["tasks"]}
    lines = []
    for number, command in enumerate(commands):
        commands[command] = f"command{number}"
        lines += [f"rule command{number}", f"  command = {command.replace('$', '$$')}"]
    for task in document["tasks"]:
        lines.append(" ".join([f"build {task['name']}:", commands[task["arguments"]], *task.get("dependencies", ())]))
    with open(os.path.join(folder, "build.ninja"), "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))


def ninja_command(program: str, folder: str, jobs: int) -> list[str]:
    """The arguments that run the build file in a folder, as if for the first time."""
    log = os.path.join(folder, ".ninja_log")
    # It would read the log of the run before.
    if os.path.exists(log):
        os.unlink(log)
    return [program, "-C", folder, "-j", str(jobs)]

"""Pages of the documentation: their blocks, and the commands in these with what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.processes import LIMIT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

# Pages whose blocks are for people who release or design, not for users.
_OTHERS = ("docs/design/", "docs/releasing.md")

_BLOCK = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page. ``title``: the file that it shows, empty for none."""

    language: str
    title: str
    text: str


class Command(NamedTuple):
    """A command of a console block, with the output that the page shows."""

    text: str
    output: str


def pages() -> list[str]:
    """The pages with blocks that are tested, by their paths in the repository."""
    found = ["README.md", *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
    return sorted(page for page in found if not page.startswith(_OTHERS))


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall((ROOT / page).read_text())]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block; a command goes on over as many lines as the shell needs to read it."""
    for part in block.text.removeprefix("$ ").split("\n$ "):
        lines = part.rstrip("\n").split("\n")
        count = next((count for count in range(1, len(lines) + 1) if _is_whole("\n".join(lines[:count]))), 1)
        yield Command("\n".join(lines[:count]), "\n".join(lines[count:]))


def _is_whole(command: str) -> bool:
    done = subprocess.run(["bash", "-n", "-c", command], capture_output=True, timeout=LIMIT, check=False)
    return not done.returncode and not done.stderr


class Shell:
    """Runs the commands of a page, one after the other, in a folder of the page's own.

    The folder has the examples, and the files that ``tests/e2e/docs/files/PAGE`` holds.
    """

    def __init__(self, folder: Path, page: str) -> None:
        self.folder = folder / "here"
        files = ROOT / "tests/e2e/docs/files" / Path(page).stem
        ignored = shutil.ignore_patterns("build", "out", "logs", "__pycache__", ".fastrun")
        if files.exists():
            shutil.copytree(files, self.folder)
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=ignored)
        program = folder / "bin" / "fastrun"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastrun "$@"\n')
        program.chmod(0o755)
        (program.parent / "python3").symlink_to(sys.executable)
        self.environment = environment()
        self.environment["PATH"] = f"{program.parent}{os.pathsep}{self.environment['PATH']}"
        self.environment.pop("MAKEFLAGS", None)
        self._status = 0

    def write(self, block: Block) -> None:
        """Write the file that a block shows."""
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def run(self, command: str) -> tuple[int, str]:
        """Return the exit status of a command and what it prints on both streams."""
        done = subprocess.run(
            ["bash", "-c", f"(exit {self._status})\n{command}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        self._status = done.returncode
        return done.returncode, done.stdout.decode()


def masked(text: str) -> str:
    """The text without the parts that differ from run to run, such as times and numbers of processes."""
    text = re.sub(r"\d+\.\d+", "N", text)
    text = re.sub(r"(critical path: N s: ).*", r"\1TASKS", text)
    text = re.sub(r'("pid":|"peak_bytes":)(\d+|null)', r"\1N", text)
    text = re.sub(r'"run_id":"\w+"', '"run_id":"X"', text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:NZ", "TIME", text)


def is_shown(output: str, shown: str) -> bool:
    """Whether a page shows an output; a line ``...`` stands for any lines."""
    lines = masked(shown).strip("\n").split("\n")
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in lines)
    return re.fullmatch(pattern, masked(output).strip("\n") + "\n") is not None

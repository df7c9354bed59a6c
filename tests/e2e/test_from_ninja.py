"""Builds of ninja as documents: the same commands, and what an edit reaches."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import LIMIT, fastrun, report_of

ROOT = Path(__file__).parents[2]

# What CMake writes, and what else the syntax has.
BUILD = r"""
# A comment.
ninja_required_version = 1.5
include rules.ninja
pool links
  depth = 1

build one$ file.o: copy one.txt || headers
  flags = of $name $
      two lines
  name = another
build gen.h: write VERSION
  command_of = cp VERSION gen.h
build headers: phony gen.h
build two.o | two.log: both two.txt
build app: join one$ file.o two.o | gen.h
  pool = links
build all: phony app CMakeFiles/note
build note: phony CMakeFiles/note
build CMakeFiles/note | ${folder}/CMakeFiles/note: CUSTOM_COMMAND app
  COMMAND = echo noted >> notes
build list: listed two.o | old.txt
build old.txt: phony
build ALWAYS: phony
build dated: join two.txt | ALWAYS
build unused: write VERSION
  command_of = false
build build.ninja: again VERSION
  generator = 1
default all list dated
"""

RULES = r"""
name = file
flags = none
rule copy
  command = cp $in $out; echo "$flags $$HOME" > /dev/null; echo $out$: $in 'read\ too.txt' > $out.d
  depfile = $out.d
  deps = gcc
rule write
  command = $command_of
  restat = 1
rule both
  command = cp $in two.o; cp two.o two.log
rule join
  command = cat $in > $out
rule CUSTOM_COMMAND
  command = $COMMAND
rule listed
  command = cp $out.rsp $out
  rspfile = $out.rsp
  rspfile_content = $in it's
rule again
  command = false
  generator = 1
"""

# The tasks that always run.
ALWAYS = {"CMakeFiles/note", "dated"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "build.ninja").write_text(BUILD.replace("${folder}", str(tmp_path)))
    (tmp_path / "rules.ninja").write_text(RULES)
    for name in ("one.txt", "two.txt", "old.txt", "read too.txt", "VERSION"):
        (tmp_path / name).write_text(f"{name}\n")
    return tmp_path


def converted(folder: Path, *targets: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.from_ninja", str(folder), *targets]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=LIMIT)
    (folder / "build.json").write_bytes(found.stdout)
    content: dict[str, Any] = json.loads(found.stdout)
    return content


def ran(folder: Path) -> set[str]:
    done = fastrun("-C", folder, "-u", "build.json")
    assert (done.returncode, done.stderr) == (0, b"")
    return {name for name, found in report_of(done.stdout).items() if found == ("ok", "")}


def test_a_document_has_the_commands_and_the_files_of_the_default_targets(folder):
    content = converted(folder)
    tasks = {task["name"]: task for task in content["tasks"]}
    assert list(tasks) == ["one file.o", "gen.h", "two.o", "app", "CMakeFiles/note", "list", "dated"]
    one = "cp one.txt 'one file.o'; echo \"of file two lines $HOME\" > /dev/null"
    assert tasks["one file.o"] == {
        "name": "one file.o",
        "type": "exec",
        "arguments": f"{one}; echo 'one file.o': one.txt 'read\\ too.txt' > 'one file.o'.d",
        "dependencies": ["gen.h"],
        "inputs": ["one.txt"],
        "outputs": ["one file.o"],
        "depfile": "one file.o.d",
    }
    assert tasks["two.o"]["outputs"] == ["two.o", "two.log"]
    assert tasks["app"]["inputs"] == ["one file.o", "two.o", "gen.h"]
    assert sorted(tasks["app"]["dependencies"]) == ["gen.h", "one file.o", "two.o"]
    assert content["pools"] == {"links": 1}
    # As in ninja these always run: there is no file of the first one's name, and none of an input of the second.
    assert "outputs" not in {**tasks["CMakeFiles/note"], **tasks["dated"]}
    assert tasks["list"]["inputs"] == ["two.o", "old.txt"]
    assert [task["name"] for task in converted(folder, "two.o")["tasks"]] == ["two.o"]


def test_a_converted_build_runs_what_an_edit_reaches(folder):
    converted(folder)
    assert ran(folder) == {"one file.o", "gen.h", "two.o", "app", "CMakeFiles/note", "list", "dated"}
    assert (folder / "list").read_text() == "two.o it's"
    assert ran(folder) == ALWAYS
    (folder / "read too.txt").write_text("more\n")
    assert ran(folder) == {"one file.o", *ALWAYS}
    (folder / "VERSION").write_text("2\n")
    assert ran(folder) == {"gen.h", "app", *ALWAYS}


def test_ninja_would_run_the_same_commands(folder):
    if shutil.which("ninja") is None:
        pytest.skip("there is no ninja here")
    listed = subprocess.run(
        ["ninja", "-C", folder, "-t", "commands", "all", "list", "dated"],
        capture_output=True,
        check=True,
        timeout=LIMIT,
    )
    commands = [line for line in listed.stdout.decode().splitlines() if not line.startswith("ninja: ")]
    # Ninja writes response files itself.
    ours = [task["arguments"].rpartition(".rsp && ")[2] for task in converted(folder)["tasks"]]
    assert sorted(commands) == sorted(ours)


def test_a_folder_without_a_build_is_an_error(tmp_path):
    command = [sys.executable, "-m", "tools.from_ninja", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"build.ninja" in done.stderr
    assert done.stderr.count(b"\n") == 1

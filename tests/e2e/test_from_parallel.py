"""The page for users of parallel and xargs: its commands do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import LIMIT, environment, fastrun

PAGE = Path(__file__).parents[2] / "docs" / "from-parallel.md"


def test_commands_of_the_page_print_what_it_shows(tmp_path):
    (tmp_path / "a b.txt").write_text("text")
    (tmp_path / "commands").write_text("true\ntrue\nfalse\n")
    fastrun("--lines", "--journal", "commands.journal", "commands", cwd=tmp_path)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "fastrun"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fastrun "$@"\n')
    program.chmod(0o755)
    env = environment()
    env["PATH"] = f"{program.parent}:{env['PATH']}"
    blocks = re.findall(r"```console\n\$ (.*?)```", PAGE.read_text(), re.DOTALL)
    shown = 0
    for block in blocks:
        # A command goes on behind an open bracket, and its output begins behind the line that closes it.
        command, _, output = block.partition("\n")
        while command.count("(") > command.count(")"):
            line, _, output = output.partition("\n")
            command += f"\n{line}"
        result = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        found = re.sub(r"\d+\.\d\d s", "N s", result.stderr + result.stdout)
        expected, more, _ = re.sub(r"\d+\.\d\d s", "N s", output).partition("...\n")
        assert found.startswith(expected)
        assert more or not expected or found == expected
        shown += bool(expected)
    assert (len(blocks), shown) == (3, 2)


def test_a_name_with_blanks_reaches_a_program_by_a_list(tmp_path):
    (tmp_path / "a b.txt").write_text("text")
    source = re.findall(r"json.dumps\((.*?)\)\)' \*", PAGE.read_text(), re.DOTALL)[0]
    made = subprocess.run(
        [sys.executable, "-c", f"import json, sys; print(json.dumps({source}))", "a b.txt"],
        capture_output=True,
        timeout=LIMIT,
        check=True,
    )
    assert b"\n4 a b.txt\n" in fastrun("-", input=made.stdout, cwd=tmp_path).stdout

"""Blocks of the documentation say what is so: commands print what is shown, documents are accepted, programs run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest

from fastrun.cli.options import parser
from tests.support.docs import ROOT, Block, Shell, blocks, commands, is_shown, masked, pages
from tests.support.processes import LIMIT, environment, fastrun

# By program without which a command is not run, how it is named in the command or in a file that the command names.
PROGRAMS = {"cc": r"\bcc\b|/c-build", "jq": r"\bjq\b", "make": r"\bmake\b", "ninja": r"\bninja\b"}

# What a block of another language, which no command uses, must be a part of.
EXAMPLES = [path.read_text() for path in sorted((ROOT / "examples").rglob("*")) if path.suffix in (".json", ".yml")]

# A command that .ci/run runs, since it installs everything.
INSTALLS = "python3 -m venv .venv && .venv/bin/pip install -q "


def missing(command: str, page: str) -> list[str]:
    """The programs that a command needs and this machine does not have."""
    files = [each.text for each in blocks(page) if each.title and each.title in command]
    text = "\n".join([command, *files])
    found = [name for name, named in PROGRAMS.items() if re.search(named, text) and shutil.which(name) is None]
    return found + ["Dask"] * ("--cluster" in command and find_spec("distributed") is None)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("page", pages())
def test_commands_print_what_the_page_shows(tmp_path, page):
    shell = Shell(tmp_path, page)
    left_out = []
    for block in blocks(page):
        if block.title:
            shell.write(block)
        if block.language != "console":
            continue
        for command in commands(block):
            if command.text.startswith(INSTALLS):
                continue
            if lacking := missing(command.text, page):
                left_out += lacking
                continue
            status, output = shell.run(command.text)
            if command.output:
                assert is_shown(output, command.output), f"$ {command.text}\n{masked(output)}"
            else:
                assert status == 0, f"$ {command.text}\n{output}"
    if left_out:
        pytest.skip(f"not installed: {', '.join(sorted(set(left_out)))}")


def of_language(*languages: str) -> list[Any]:
    return [
        pytest.param(page, block, id=f"{page}-{number}")
        for page in pages()
        for number, block in enumerate(blocks(page))
        if block.language in languages
    ]


@pytest.mark.parametrize(("page", "block"), of_language("json"))
def test_documents_are_accepted_without_a_warning(page, block, tmp_path):
    if '"v":1' in block.text:
        pytest.skip("lines of events are tested beside them")
    value = json.loads(block.text)
    if "name" in value:
        # Other tasks of an example, which it depends on, are not shown.
        assert not value.pop("dependencies", []) or any(part_of(block.text, example) for example in EXAMPLES)
        value = {"tasks": [value]}
    done = fastrun("-n", "-", input=json.dumps({"tasks": [], **value}).encode(), cwd=tmp_path)
    if block.title.startswith("wrong"):
        assert done.returncode == 2
    else:
        assert done.returncode == 0
        assert b"warning" not in done.stderr


@pytest.mark.parametrize(("page", "block"), of_language("sh"))
def test_commands_for_other_machines_are_such_that_a_shell_and_fastrun_read_them(page, block):
    subprocess.run(["bash", "-n", "-c", block.text], check=True, timeout=LIMIT)
    for line in re.findall(r"\bfastrun (.*)", block.text.replace("\\\n", " ")):
        words = re.sub(r"\s[|&>].*|\d?>&?\S+|\"\$\(nproc\)\"", " 1 ", line).split()
        assert parser({}).parse([word.strip("'\"") for word in words])


@pytest.mark.parametrize(("page", "block"), of_language("yaml"))
def test_files_of_other_tools_are_parts_of_examples(page, block):
    assert block.title or any(part_of(block.text, example) for example in EXAMPLES)


def part_of(text: str, whole: str) -> bool:
    return "".join(text.split()) in "".join(whole.split())


def programs(page: str) -> list[tuple[str, str]]:
    """The Python programs of a page that have no file, with the output that follows them, empty for none."""
    found = blocks(page)
    return [
        (block.text, following.text if following.language == "text" else "")
        for block, following in pairwise([*found, Block("", "", "")])
        if block.language == "python" and not block.title
    ]


def runnable() -> list[Any]:
    return [
        pytest.param(page, program, shown, id=f"{page}-{number}")
        for page in pages()
        if page != "docs/python-api.md"
        for number, (program, shown) in enumerate(programs(page))
    ]


@pytest.mark.parametrize(("page", "program", "shown"), runnable())
def test_programs_print_what_their_page_says(page, program, shown, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env=environment(),
        cwd=Shell(tmp_path, page).folder,
        check=True,
        timeout=LIMIT,
        text=True,
    )
    assert not shown or is_shown(done.stdout, shown)
    assert done.stderr == ""


def test_every_block_is_of_a_kind_that_is_tested():
    for page in pages():
        before = ""
        for block in blocks(page):
            kinds = ("console", "json", "sh", "yaml", "python", "text" if before == "python" else "python")
            assert block.title or block.language in kinds, (page, block)
            before = block.language

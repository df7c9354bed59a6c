"""Tests of the projects: all that build them make the same, and an edit reaches some of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import orjson
import pytest

from bench.compare.projects import Project
from tests.support.processes import LIMIT, environment, fastrun

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = "document.json"


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


def test_document_and_makefile_make_the_same(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    contents = []
    for name in ("one", "other"):
        project = Project(str(tmp_path / name), 6, 4)
        project.write()
        if name == "one":
            assert fastrun("-u", DOCUMENT, cwd=project.folder).returncode == 0
        else:
            command = ["make", "-C", project.folder]
            subprocess.run(command, check=True, capture_output=True, timeout=LIMIT, env=environment())
        contents.append(made(tmp_path / name))
    assert contents[0] == contents[1]
    assert len(contents[0]) == 6


def test_header_reaches_the_objects_that_name_it(tmp_path):
    project = Project(str(tmp_path), 6, 4)
    project.write()
    tasks = orjson.loads((tmp_path / DOCUMENT).read_bytes())["tasks"]
    reached = {task["name"] for task in tasks if "include/0.h" in task["inputs"]}
    assert reached
    assert fastrun("-u", DOCUMENT, cwd=tmp_path).returncode == 0
    project.write_header(0, "edit")
    lines = fastrun("-u", DOCUMENT, cwd=tmp_path).stdout.decode().splitlines()
    assert {line.removeprefix("Started: ") for line in lines if line.startswith("Started: ")} == reached


def test_sources_can_be_compiled(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    Project(str(tmp_path), 1, 3).write_compiled()
    result = fastrun("-u", DOCUMENT, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert sorted(made(tmp_path)) == ["0.d", "0.o"]
    assert os.path.getsize(tmp_path / "out" / "0.o") > 0

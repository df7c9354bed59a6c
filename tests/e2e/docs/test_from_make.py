"""The page for users of make: a Makefile and its document do the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.docs import blocks
from tests.support.processes import LIMIT, fastrun, report_of


def files() -> tuple[str, str]:
    """The Makefile of 22 lines and its document."""
    found = {block.title: block.text for block in blocks("docs/from-make.md")}
    return found["site.mk"], found["site.json"]


def project(folder: Path) -> Path:
    (folder / "text").mkdir(parents=True)
    (folder / "text" / "words").write_text("b a b c b\n")
    (folder / "tools").mkdir()
    (folder / "tools" / "check.sh").write_text("true\n")
    return folder


def test_the_document_is_at_most_twice_as_large():
    makefile, document = files()
    assert len([line for line in makefile.splitlines() if line]) <= 22
    assert len(document) <= 2 * len(makefile)


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("bash")), reason="make or bash is not installed")
def test_both_make_the_same_files(tmp_path):
    makefile, document = files()
    by_make, by_fastrun = project(tmp_path / "make"), project(tmp_path / "fastrun")
    (by_make / "Makefile").write_text(makefile)
    subprocess.run(["make"], cwd=by_make, capture_output=True, timeout=LIMIT, check=True)
    (by_fastrun / "site.json").write_text(document)
    result = fastrun("-u", "site.json", cwd=by_fastrun)
    assert (result.returncode, result.stderr) == (0, b"")
    assert sorted(os.listdir(by_make / "out")) == sorted(os.listdir(by_fastrun / "out"))
    for name in ("words.txt", "counts.txt"):
        assert (by_make / "out" / name).read_bytes() == (by_fastrun / "out" / name).read_bytes()
    again = report_of(fastrun("-u", "site.json", cwd=by_fastrun).stdout)
    assert {name for name, (_, reason) in again.items() if reason == "up to date"} == {"words", "counts", "site"}
    # A failure in the middle of a pipe is one, as the defaults say.
    (by_fastrun / "text" / "words").unlink()
    (by_fastrun / "text" / "words").mkdir()
    assert report_of(fastrun("-u", "site.json", cwd=by_fastrun).stdout)["words"][0] == "failed"

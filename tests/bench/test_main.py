"""Tests of the command line of the comparison, as whole processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.compare.record import load
from bench.measure import child_environment
from tests.bench.compare.samples import run_compare
from tests.support.processes import LIMIT


def test_command_shows_stored_figures_as_it_showed_them_when_measured(tmp_path):
    stored, page = tmp_path / "data.json", tmp_path / "page.md"
    measured = run_compare("--quick", "--rounds", "2", "--json", str(stored), "--results", str(page), "one")
    first = page.read_text()
    shown = run_compare("--from", str(stored), "--results", str(page))
    assert page.read_text() == first
    assert "fastrun <= 1.1 x import uvloop, orjson" in shown
    assert measured.endswith(shown)
    assert len(load(stored.read_bytes()).results[0].runs["fastrun"]) == 2


@pytest.mark.parametrize(("options", "message"), [([], "No such file"), (["--quick"], "No such file")])
def test_unreadable_workflows_folder_is_an_error_before_anything_is_measured(tmp_path, options, message):
    command = [sys.executable, "-m", "bench", "compare", *options, "--workflows", os.fspath(tmp_path / "none")]
    found = subprocess.run(command, env=child_environment(), timeout=LIMIT, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert message in found.stderr
    assert found.stdout == ""

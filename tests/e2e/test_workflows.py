"""The files for CI systems keep to the schemas of these systems."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import LIMIT, environment

ROOT = Path(__file__).parents[2]

GITHUB, GITLAB = "vendor.github-workflows", "vendor.gitlab-ci"

FILES = [
    *((GITHUB, path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))),
    (GITHUB, ROOT / "examples" / "ci" / "github-actions.yml"),
    (GITLAB, ROOT / "examples" / "ci" / "gitlab-ci.yml"),
]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed"
)


def checked(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, env=environment(), capture_output=True, timeout=LIMIT, check=False, text=True)


@pytest.mark.parametrize(("schema", "path"), FILES, ids=[path.name for _, path in FILES])
def test_file_keeps_to_the_schema(schema, path):
    result = checked(schema, path)
    assert result.returncode == 0, result.stdout


def test_a_misspelt_key_is_found(tmp_path):
    (_, path), *_ = FILES
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(path.read_text().replace("runs-on:", "run-on:", 1))
    assert checked(GITHUB, wrong).returncode == 1

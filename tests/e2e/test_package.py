"""What is shipped: the source distribution, the wheel and what is installed beside the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fastrun.observers.files.html.report import LICENCES, SCRIPTS, STYLES
from tests.support.processes import LIMIT, environment

ROOT = Path(__file__).parents[2]

# What no checkout has that a test may start from.
MADE = (".*", "build", "site", "*.egg-info", "__pycache__", "*.so")

SDIST = "from setuptools import build_meta; build_meta.build_sdist('out')"
WHEEL = "from setuptools import build_meta; build_meta.build_wheel('out')"

# Where man and shells look, below the prefix of an installation.
SHARED = (
    "share/man/man1/fastrun.1",
    "share/bash-completion/completions/fastrun",
    "share/zsh/site-functions/_fastrun",
    "share/fish/vendor_completions.d/fastrun.fish",
)


def build(folder: Path, *steps: str, **variables: str) -> Path:
    """Build in a copy of the project, which is made, and return the folder with what was built."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*MADE))
    for step in steps:
        subprocess.run(
            [sys.executable, "-c", step],
            cwd=folder,
            env=environment(**variables),
            capture_output=True,
            timeout=LIMIT,
            check=True,
        )
    return folder / "out"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The folder of a source distribution and a wheel for all systems."""
    return build(tmp_path_factory.mktemp("package") / "fastrun", SDIST, WHEEL, FASTRUN_PURE="1")


def test_the_wheel_without_the_engine_is_for_all_systems(shipped):
    (wheel,) = shipped.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"fastrun/py.typed", "fastrun/document/schema.json", "fastrun/cli/completions/_fastrun"} <= set(names)
    assert not [name for name in names if name.endswith((".c", ".so", ".pyc")) or name.startswith("tests")]


def test_the_wheel_has_the_man_page_and_the_completions(shipped):
    (wheel,) = shipped.glob("*.whl")
    names = [name.partition(".data/data/")[2] for name in zipfile.ZipFile(wheel).namelist()]
    assert {name for name in names if name} == set(SHARED)


def test_the_wheel_has_the_page(shipped):
    (wheel,) = shipped.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("page.html", *SCRIPTS, *STYLES, *LICENCES, "vendor/README.md"):
        assert f"fastrun/observers/files/html/page/{name}" in names


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="no compiler, or not Linux")
def test_the_wheel_has_the_native_engine_where_there_is_a_compiler(tmp_path):
    (wheel,) = build(tmp_path / "fastrun", WHEEL).glob("*.whl")
    assert "-abi3-" in wheel.name
    assert "fastrun/executors/commands/_engine.abi3.so" in zipfile.ZipFile(wheel).namelist()


def test_the_source_distribution_has_what_its_tests_need(shipped):
    (archive,) = shipped.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    needed = (
        "docs/fastrun.1",
        "docs/design/README.md",
        "tools/manual.py",
        "DESIGN.md",
        "CHANGELOG.md",
        "tests/conftest.py",
    )
    assert set(needed) <= names
    assert "fastrun/executors/commands/_engine.c" in names

"""Start-up of whole processes: the interpreter, the imports, the program."""

import sys
from pathlib import Path

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.generators import Make, same_snippet, true_command, wide
from bench.micro.timed import timed_process

pytestmark = pytest.mark.benchmark(group="start-up")

CODES = {
    "nothing": "pass",
    "asyncio": "import asyncio",
    "uvloop, orjson": "import uvloop, orjson",
    "fastrun": "import fastrun; fastrun.run",
}


@pytest.mark.parametrize("imported", CODES)
def test_import(benchmark: BenchmarkFixture, imported: str) -> None:
    timed_process(benchmark, lambda: [sys.executable, "-c", CODES[imported]])


@pytest.mark.parametrize("option", ["--version", "--help", "--schema"])
def test_option(benchmark: BenchmarkFixture, option: str) -> None:
    timed_process(benchmark, lambda: [sys.executable, "-m", "fastrun", option])


@pytest.mark.parametrize("make", [true_command, same_snippet], ids=["command", "snippet"])
def test_one_task(benchmark: BenchmarkFixture, tmp_path: Path, make: Make) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(orjson.dumps(wide(1, make)))
    timed_process(benchmark, lambda: [sys.executable, "-m", "fastrun", str(path)])

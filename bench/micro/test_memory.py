"""Memory of whole processes that load and run tasks with three dependencies each: ``peak_memory_mb`` in ``extra_info``.

With ``-n`` fastrun loads and runs nothing: the difference is the memory of running.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure import child_environment
from bench.micro.sizes import SIZES
from bench.micro.timed import TIMEOUT, timed_process

pytestmark = pytest.mark.benchmark(group="memory")


@pytest.mark.parametrize("options", [["-n"], []], ids=["load", "run"])
@pytest.mark.parametrize("tasks", SIZES)
def test_snippets(benchmark: BenchmarkFixture, tmp_path: Path, tasks: int, options: list[str]) -> None:
    path = tmp_path / "document.json"
    # In a separate process: see ``measure`` about memory.
    generate = [sys.executable, "-m", "bench.generators", "random", str(tasks), "same"]
    with path.open("wb") as file:
        subprocess.run(generate, stdout=file, env=child_environment(), timeout=TIMEOUT, check=True)
    found = timed_process(benchmark, lambda: [sys.executable, "-m", "fastrun", *options, str(path)])
    assert found.peak > 0

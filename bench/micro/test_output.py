"""Output of tasks through the library's console to the null device."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.generators import Document
from bench.micro.timed import timed

pytestmark = pytest.mark.benchmark(group="output")

LINE = b"the quick brown fox jumps over the lazy dog, again and again\n"
MODES = ["stream", "prefix", "group", "quiet"]
MEGABYTES = [
    1,
    pytest.param(20, marks=pytest.mark.small),
    pytest.param(1_000, marks=pytest.mark.large),
]


@pytest.fixture
def nowhere() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def _run(document: Document, mode: str, nowhere: int) -> bool:
    return fastrun.run(document, observers=[fastrun.Console(mode, stdout=nowhere, stderr=nowhere)]).ok


@pytest.mark.parametrize("tasks", [1, 8])
@pytest.mark.parametrize("megabytes", MEGABYTES)
@pytest.mark.parametrize("mode", MODES)
def test_commands(
    benchmark: BenchmarkFixture, tmp_path: Path, nowhere: int, mode: str, megabytes: int, tasks: int
) -> None:
    text = tmp_path / "text"
    text.write_bytes(LINE * (megabytes * 1_000_000 // len(LINE) // tasks))
    task = {"type": "exec", "arguments": f"cat {text}"}
    document = {"tasks": [{"name": f"task{i}", **task} for i in range(tasks)]}
    assert timed(benchmark, _run, document, mode, nowhere)


@pytest.mark.parametrize("lines", [1_000, pytest.param(30_000, marks=pytest.mark.small)])
@pytest.mark.parametrize("mode", MODES)
def test_prints_of_a_snippet(benchmark: BenchmarkFixture, nowhere: int, mode: str, lines: int) -> None:
    source = f"for i in range({lines}): print('line', i)"
    document = {"tasks": [{"name": "a", "type": "eval", "arguments": source}]}
    assert timed(benchmark, _run, document, mode, nowhere)

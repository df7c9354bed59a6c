"""Snippets run by the library, beside the floor: a bare loop over the same sources.

The library's figures include reading the document, a dict, and building its graph; the floor's do not. There are no
observers. ``compare`` measures whole processes.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.compare.peers.loop import run_all
from bench.generators import Document, distinct_snippet, same_snippet, shaped, wide
from bench.micro.sizes import SHAPES
from bench.micro.timed import timed

pytestmark = pytest.mark.benchmark(group="eval")

SIZES = [
    1_000,
    pytest.param(10_000, marks=pytest.mark.small),
    pytest.param(1_000_000, marks=pytest.mark.large),
]


def _run(benchmark: BenchmarkFixture, document: Document) -> None:
    assert timed(benchmark, fastrun.run, document).ok


def _loop(benchmark: BenchmarkFixture, document: Document) -> None:
    sources = [task["arguments"] for task in document["tasks"]]
    timed(benchmark, run_all, sources)


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_distinct(benchmark: BenchmarkFixture, shape: str, tasks: int) -> None:
    _run(benchmark, shaped(shape, tasks, distinct_snippet))


@pytest.mark.parametrize("tasks", SIZES)
def test_distinct_floor(benchmark: BenchmarkFixture, tasks: int) -> None:
    _loop(benchmark, wide(tasks, distinct_snippet))


@pytest.mark.parametrize("tasks", SIZES)
def test_same(benchmark: BenchmarkFixture, tasks: int) -> None:
    _run(benchmark, wide(tasks, same_snippet))


@pytest.mark.parametrize("tasks", SIZES)
def test_same_floor(benchmark: BenchmarkFixture, tasks: int) -> None:
    _loop(benchmark, wide(tasks, same_snippet))

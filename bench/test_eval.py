"""Snippets run by the library, and the floor: a bare loop over the same sources.

The library's figures include reading the document, a dict, and building its graph; the floor's do not. No
observers. What a whole process takes is ``compare``'s to say.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.generators import Document, deep, distinct_snippet, same_snippet, wide
from bench.peers.loop import run_all
from bench.timed import timed

pytestmark = pytest.mark.benchmark(group="eval")

SIZES = [10_000, pytest.param(1_000_000, marks=pytest.mark.large)]

# Each hop of a chain wakes two threads: ten times the cost of a task among many.
CHAIN = 2_000


def _run(benchmark: BenchmarkFixture, document: Document) -> None:
    assert timed(benchmark, fastrun.run, document).ok


def _loop(benchmark: BenchmarkFixture, document: Document) -> None:
    sources = [task["arguments"] for task in document["tasks"]]
    timed(benchmark, run_all, sources)


@pytest.mark.parametrize("tasks", SIZES)
def test_wide_distinct(benchmark: BenchmarkFixture, tasks: int) -> None:
    _run(benchmark, wide(tasks, distinct_snippet))


@pytest.mark.parametrize("tasks", SIZES)
def test_wide_distinct_floor(benchmark: BenchmarkFixture, tasks: int) -> None:
    _loop(benchmark, wide(tasks, distinct_snippet))


@pytest.mark.parametrize("tasks", SIZES)
def test_wide_same(benchmark: BenchmarkFixture, tasks: int) -> None:
    _run(benchmark, wide(tasks, same_snippet))


@pytest.mark.parametrize("tasks", SIZES)
def test_wide_same_floor(benchmark: BenchmarkFixture, tasks: int) -> None:
    _loop(benchmark, wide(tasks, same_snippet))


def test_chain(benchmark: BenchmarkFixture) -> None:
    _run(benchmark, deep(CHAIN, distinct_snippet))


def test_chain_floor(benchmark: BenchmarkFixture) -> None:
    _loop(benchmark, deep(CHAIN, distinct_snippet))

"""Commands and snippets in turn, run by the library."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.generators import mixed, shaped
from bench.micro.sizes import SHAPES
from bench.micro.timed import timed

pytestmark = pytest.mark.benchmark(group="mixed")

SIZES = [100, pytest.param(10_000, marks=pytest.mark.large)]


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_run(benchmark: BenchmarkFixture, shape: str, tasks: int) -> None:
    assert timed(benchmark, fastrun.run, shaped(shape, tasks, mixed), jobs=16).ok

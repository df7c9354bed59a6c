"""From tasks to a graph: names to numbers, dependents, the search for cycles."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.generators import same_snippet, shaped
from bench.micro.sizes import SHAPES, SIZES
from bench.micro.timed import timed
from fastrun.collector import collector_off
from fastrun.document.parse import read
from fastrun.document.task import Document
from fastrun.plan.graph import Graph, build

pytestmark = pytest.mark.benchmark(group="graph")


def _build(document: Document) -> Graph:
    with collector_off():
        return build(document)


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_build(benchmark: BenchmarkFixture, shape: str, tasks: int) -> None:
    document = read(shaped(shape, tasks, same_snippet), "bench")
    assert len(timed(benchmark, _build, document)) == tasks


@pytest.mark.parametrize("tasks", SIZES)
def test_build_backwards(benchmark: BenchmarkFixture, tasks: int) -> None:
    """Tasks before their dependencies: only then is there a search for cycles."""
    raw = shaped("random", tasks, same_snippet)
    raw["tasks"].reverse()
    assert len(timed(benchmark, _build, read(raw, "bench"))) == tasks

"""Loading: bytes to tasks, and tasks to a graph, each alone. Three dependencies per task.

With the collector off, as ``fastrun.load`` has it meanwhile.
"""

from functools import cache

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.generators import random_dag, same_snippet
from bench.timed import timed
from fastrun.graph import Graph, build
from fastrun.spec import Document, collector_off, parse

pytestmark = pytest.mark.benchmark(group="load")

SIZES = [1_000, 100_000, pytest.param(1_000_000, marks=pytest.mark.large)]


@cache
def _text(tasks: int) -> bytes:
    return orjson.dumps(random_dag(tasks, 3, same_snippet))


def _parse(text: bytes) -> Document:
    with collector_off():
        return parse(text, "bench")


def _build(document: Document) -> Graph:
    with collector_off():
        return build(document)


@pytest.mark.parametrize("tasks", SIZES)
def test_parse(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = timed(benchmark, _parse, _text(tasks))
    assert len(document.tasks) == tasks


@pytest.mark.parametrize("tasks", SIZES)
def test_build(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = _parse(_text(tasks))
    graph = timed(benchmark, _build, document)
    assert len(graph) == tasks

"""Loading: from the bytes of a document to its tasks, with three dependencies each.

The collector is off, as in ``fastrun.load``.
"""

from functools import cache

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.generators import random_dag, same_snippet
from bench.micro.sizes import SIZES
from bench.micro.timed import timed
from fastrun.collector import collector_off
from fastrun.document.parse import parse
from fastrun.document.task import Document

pytestmark = pytest.mark.benchmark(group="load")


@cache
def _text(tasks: int) -> bytes:
    return orjson.dumps(random_dag(tasks, 3, same_snippet))


def _parse(text: bytes) -> Document:
    with collector_off():
        return parse(text, "bench")


def _parse_json_alone(text: bytes) -> object:
    with collector_off():
        return orjson.loads(text)


@pytest.mark.parametrize("tasks", SIZES)
def test_parse(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = timed(benchmark, _parse, _text(tasks))
    assert len(document.tasks) == tasks


@pytest.mark.parametrize("tasks", SIZES)
def test_parse_floor(benchmark: BenchmarkFixture, tasks: int) -> None:
    timed(benchmark, _parse_json_alone, _text(tasks))

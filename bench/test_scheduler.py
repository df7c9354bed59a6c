"""The scheduler alone: every task started and ended, one at a time, nothing run."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.generators import Document, deep, diamond, layered, random_dag, same_snippet, wide
from bench.timed import timed
from fastrun.graph import Graph, build
from fastrun.protocols import Status
from fastrun.scheduler import Scheduler
from fastrun.spec import collector_off, read

pytestmark = pytest.mark.benchmark(group="scheduler")

SIZES = [100_000, pytest.param(1_000_000, marks=pytest.mark.large)]


def _document(shape: str, tasks: int) -> Document:
    match shape:
        case "wide":
            return wide(tasks, same_snippet)
        case "deep":
            return deep(tasks, same_snippet)
        case "layered":
            return layered(tasks, 1000, 3, same_snippet)
        case "diamond":
            return diamond(tasks, same_snippet)
        case _:
            return random_dag(tasks, 3, same_snippet)


def _drain(graph: Graph) -> int:
    scheduler = Scheduler(graph, bytes(len(graph)), 1)
    ended = 0
    while (task := scheduler.start_next(0)) is not None:
        scheduler.task_ended(task, Status.OK)
        ended += 1
    return ended


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("shape", ["wide", "deep", "layered", "diamond", "random"])
def test_drain(benchmark: BenchmarkFixture, shape: str, tasks: int) -> None:
    with collector_off():
        graph = build(read(_document(shape, tasks), "bench"))
    assert timed(benchmark, _drain, graph) == tasks

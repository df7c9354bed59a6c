"""The scheduler alone: every task starts and ends, one at a time, and nothing runs."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.generators import same_snippet, shaped
from bench.micro.sizes import SHAPES, SIZES
from bench.micro.timed import timed
from fastrun.collector import collector_off
from fastrun.document.parse import read
from fastrun.outcome import Status
from fastrun.plan.graph import Graph, build
from fastrun.plan.scheduler import Scheduler

pytestmark = pytest.mark.benchmark(group="scheduler")


def _drain(graph: Graph, first: Status) -> int:
    scheduler = Scheduler(graph, bytes(len(graph)), 1)
    ended = 0
    status = first
    while chains := scheduler.start(0, 1):
        for task in chains[0]:
            scheduler.task_ended(task, status)
            ended += 1
            if status != Status.OK:
                break
        status = Status.OK
    return ended


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_drain(benchmark: BenchmarkFixture, shape: str, tasks: int) -> None:
    with collector_off():
        graph = build(read(shaped(shape, tasks, same_snippet), "bench"))
    assert timed(benchmark, _drain, graph, Status.OK) == tasks


@pytest.mark.parametrize("tasks", SIZES)
def test_skip_all(benchmark: BenchmarkFixture, tasks: int) -> None:
    """The first task of a chain fails, which skips all others."""
    with collector_off():
        graph = build(read(shaped("deep", tasks, same_snippet), "bench"))
    assert timed(benchmark, _drain, graph, Status.FAILED) == 1

"""Cost of a cluster per task, with workers on this machine, and fastrun's own cost with very many tasks.

``us_per_task`` in ``extra_info``. Without Dask only the simulated workers are measured.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.measure import child_environment, own_peak, reset_peak
from bench.micro.sizes import SIZES
from bench.micro.timed import TIMEOUT, timed
from bench.simulated import SimulatedCluster
from fastrun.cluster.executor import ClusterExecutor
from fastrun.document.parse import read
from fastrun.plan.graph import build
from fastrun.runner.runner import Run

pytestmark = pytest.mark.benchmark(group="cluster")

_BUNDLED = 5_000
_SINGLE = 300
_NAPS = 100


@pytest.fixture(params=[1, 2, 4])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start a cluster of that many workers with one thread each. Yields its scheduler's address."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=request.param,
        threads_per_worker=1,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        memory_limit=0,
    ) as cluster:
        yield str(cluster.scheduler_address)


def _run(benchmark: BenchmarkFixture, tasks: list[dict[str, Any]], **options: Any) -> None:
    began = time.perf_counter()
    report = timed(benchmark, fastrun.run, {"tasks": tasks}, **options)
    rounds = 4 if benchmark.enabled else 1
    benchmark.extra_info["us_per_task"] = round((time.perf_counter() - began) / rounds / len(tasks) * 1e6)
    assert report.ok


def _snippets(count: int) -> list[dict[str, Any]]:
    return [{"name": f"t{n}", "type": "eval", "arguments": "pass", "where": "cluster"} for n in range(count)]


@pytest.mark.parametrize("address", [2], indirect=True)
def test_bundled(benchmark: BenchmarkFixture, address: str) -> None:
    """Independent tasks that do nothing, which fastrun sends in bundles."""
    _run(benchmark, _snippets(_BUNDLED), cluster=address)


@pytest.mark.parametrize("address", [1], indirect=True)
def test_single(benchmark: BenchmarkFixture, address: str) -> None:
    """A chain that alternates between worker and local executor: two messages for every second task."""
    tasks = _snippets(_SINGLE)
    for number, task in enumerate(tasks):
        task["where"] = "cluster" if number % 2 else "local"
        task["dependencies"] = [f"t{number - 1}"] if number else []
    _run(benchmark, tasks, cluster=address)


@pytest.mark.small
def test_scaling(benchmark: BenchmarkFixture, address: str) -> None:
    """Commands of 50 ms on one, two and four workers."""
    tasks = [{"name": f"t{n}", "type": "exec", "arguments": "sleep 0.05"} for n in range(_NAPS)]
    _run(benchmark, tasks, cluster=address)


@pytest.mark.parametrize("tasks", SIZES)
def test_simulated_workers(benchmark: BenchmarkFixture, tasks: int) -> None:
    """A thousand workers that do nothing: fastrun's cost per task, and the memory that the run adds to the graph's.

    Runs in a separate process, which has its own peak.
    """
    command = [sys.executable, "-m", "bench.micro.test_cluster", str(tasks), "1000"]
    found: list[list[str]] = []

    def run() -> None:
        result = subprocess.run(command, stdout=subprocess.PIPE, env=child_environment(), timeout=TIMEOUT, check=True)
        found.append(result.stdout.decode().split())

    benchmark.pedantic(run, rounds=1)  # type: ignore[no-untyped-call]  # pytest-benchmark has no types there
    microseconds, grown, waiting = found[-1]
    benchmark.extra_info.update(us_per_task=float(microseconds), grown_mb=float(grown), most_at_workers=int(waiting))


def simulate(tasks: int, workers: int) -> None:
    """Print processor time per task in us, megabytes that the run adds, and the most tasks at workers at a time."""
    graph = build(read({"tasks": [{"name": f"t{n}", "type": "exec", "arguments": "true"} for n in range(tasks)]}, ""))
    cluster = SimulatedCluster(workers, latency=0.001)
    reset_peak()
    before = own_peak()
    began = time.process_time()

    async def main() -> None:
        report = await Run(graph, {"exec": ClusterExecutor(cluster)}, [], warn=print).run()
        assert report.ok

    uvloop.run(main())
    microseconds = (time.process_time() - began) / tasks * 1e6
    print(round(microseconds, 1), round((own_peak() - before) / 1e6, 1), cluster.most_waiting)


if __name__ == "__main__":
    simulate(int(sys.argv[1]), int(sys.argv[2]))

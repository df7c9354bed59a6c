"""Number of runs of each pytest case.

There are three rounds after one that is not counted: enough for a median, few enough for a suite of a minute or two.
Whole processes need no such first round. The figure to look at is the median; ``compare.record`` says why.
"""

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure import Measured, measure

ROUNDS = 3

# Seconds after which a measured process is killed.
TIMEOUT = 120.0

_P = ParamSpec("_P")
_R = TypeVar("_R")


def timed(benchmark: BenchmarkFixture, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Measure a function. Returns what its last call returned."""
    result: _R = benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types there
        function, args, kwargs, rounds=ROUNDS, warmup_rounds=1
    )
    return result


def timed_process(benchmark: BenchmarkFixture, command: Callable[[], Sequence[str]]) -> Measured:
    """Measure whole processes and store the highest peak of memory. ``command`` is called before each."""
    runs: list[Measured] = []
    benchmark.pedantic(  # type: ignore[no-untyped-call]  # as above
        lambda: runs.append(measure(command(), timeout=TIMEOUT)), rounds=ROUNDS
    )
    benchmark.extra_info["peak_memory_mb"] = round(max(run.peak for run in runs) / 1e6, 1)
    return runs[-1]

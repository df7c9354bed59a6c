"""How often the pytest cases run what they measure.

Five rounds, behind one that is not counted: enough for a median, few enough for the whole suite to be over while
one waits. Look at the median, for the reason that ``record`` gives.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 5

_P = ParamSpec("_P")
_R = TypeVar("_R")


def timed(benchmark: BenchmarkFixture, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Measure a function. Returns what it returned the last time."""
    result: _R = benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types there
        function, args, kwargs, rounds=ROUNDS, warmup_rounds=1
    )
    return result

"""Options of ``pytest bench``, and facts stored beside each figure.

Not in ``micro``: pytest reads options only from the conftest.py of the folder on its command line.
"""

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.compare.machine import facts
from bench.measure import own_peak, reset_peak


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sizes",
        choices=("small", "large"),
        default="small",
        help="large: also the cases with up to a million tasks (default: small, which takes a minute or two)",
    )
    parser.addoption(
        "--quick",
        action="store_true",
        help="only the smallest cases, once and without figures: a check in 15 seconds that all of them run",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: only with --sizes large")
    config.addinivalue_line("markers", "small: not with --quick")
    if config.getoption("--quick"):
        # As with --benchmark-disable: each function runs once. The plugin reads the option later than this.
        config.option.benchmark_disable = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    quick, large = config.getoption("--quick"), config.getoption("--sizes") == "large"
    left_out = [
        item
        for item in items
        if (item.get_closest_marker("large") and (quick or not large)) or (item.get_closest_marker("small") and quick)
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def machine_facts() -> dict[str, str]:
    return facts()


@pytest.fixture(autouse=True)
def _store_facts(benchmark: BenchmarkFixture, machine_facts: dict[str, str]) -> Iterator[None]:
    """Store versions, the machine and the peak of memory in ``extra_info``.

    The peak is that of this process, setup included. A test that measures another process stores that process's
    peak as ``peak_memory_mb``.
    """
    benchmark.extra_info.update(machine_facts)
    reset_peak()
    yield
    benchmark.extra_info["pytest_peak_memory_mb"] = round(own_peak() / 1e6)

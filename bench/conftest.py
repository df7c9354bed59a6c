"""``pytest bench``: the options for sizes, and what is noted beside each figure.

Not in ``micro``: pytest knows an option only if the folder that it is called with has the file that adds it.
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
        help="large: the cases with a million tasks too (default: small, which is over in a minute or two)",
    )
    parser.addoption(
        "--quick",
        action="store_true",
        help="the least of everything, once and without figures: whether all works, in a quarter of a minute",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: only with --sizes large")
    config.addinivalue_line("markers", "small: not with --quick")
    if config.getoption("--quick"):
        # What the plugin's own option does, before the plugin looks at it: each function runs once.
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
def _noted(benchmark: BenchmarkFixture, machine_facts: dict[str, str]) -> Iterator[None]:
    """Note versions, the machine and the peak of memory in ``extra_info``.

    The peak is that of this process, setup included. Of a process that a test measures, the test notes
    ``peak_memory_mb``.
    """
    benchmark.extra_info.update(machine_facts)
    reset_peak()
    yield
    benchmark.extra_info["pytest_peak_memory_mb"] = round(own_peak() / 1e6)

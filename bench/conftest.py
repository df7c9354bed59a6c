"""``pytest bench``: the option for sizes, and what is noted beside each figure."""

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.machine import facts
from bench.measure import own_peak, reset_peak


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sizes",
        choices=("small", "large"),
        default="small",
        help="large: the cases with a million tasks too (default: small, which is over in two minutes)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: only with --sizes large")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--sizes") == "large":
        return
    for item in items:
        if item.get_closest_marker("large"):
            item.add_marker(pytest.mark.skip(reason="needs --sizes large"))


@pytest.fixture(scope="session")
def machine_facts() -> dict[str, str]:
    return facts()


@pytest.fixture(autouse=True)
def _noted(benchmark: BenchmarkFixture, machine_facts: dict[str, str]) -> Iterator[None]:
    """Note versions, the machine and the peak of memory in ``extra_info``.

    The peak is that of this process, setup included, and says nothing of the processes that it measures; for those
    see ``compare``.
    """
    benchmark.extra_info.update(machine_facts)
    reset_peak()
    yield
    benchmark.extra_info["pytest_peak_memory_mb"] = round(own_peak() / 1e6)

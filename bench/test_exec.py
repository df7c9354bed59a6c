"""Commands run by the library, beside ninja and the floor on the same commands.

ninja and the floor are whole processes, started anew each round; fastrun runs inside this one, so its start-up
is not in its figures and reading the document, a dict, is. For whole processes on both sides see ``compare``.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.floor import compile_floor, floor_command
from bench.generators import Document, deep, true_command, wide
from bench.measure import Unavailable, measure
from bench.ninja import find_ninja, ninja_command, write_build_file
from bench.timed import timed

pytestmark = pytest.mark.benchmark(group="exec")

WIDE = wide(500, true_command)
CHAIN = deep(200, true_command)

# Document, commands at once.
CASES = [
    pytest.param(WIDE, 2, id="wide-j2"),
    pytest.param(WIDE, 16, id="wide-j16"),
    pytest.param(CHAIN, 16, id="chain"),
]

# Seconds until a peer is killed.
TIMEOUT = 60.0


@pytest.fixture(scope="session")
def ninja() -> str:
    try:
        return find_ninja()
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def floor(tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        return compile_floor(str(tmp_path_factory.mktemp("floor")))
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("document", "jobs"), CASES)
def test_fastrun(benchmark: BenchmarkFixture, document: Document, jobs: int) -> None:
    assert timed(benchmark, fastrun.run, document, jobs=jobs).ok


@pytest.mark.parametrize(("document", "jobs"), CASES)
def test_ninja(ninja: str, benchmark: BenchmarkFixture, tmp_path: Path, document: Document, jobs: int) -> None:
    write_build_file(document, str(tmp_path))
    timed(benchmark, lambda: measure(ninja_command(ninja, str(tmp_path), jobs), timeout=TIMEOUT))


@pytest.mark.parametrize(("document", "jobs"), CASES)
def test_floor(floor: str, benchmark: BenchmarkFixture, document: Document, jobs: int) -> None:
    # It knows no dependencies: one at a time is its chain.
    at_once = 1 if document is CHAIN else jobs
    command = floor_command(floor, len(document["tasks"]), at_once)
    timed(benchmark, measure, command, timeout=TIMEOUT)

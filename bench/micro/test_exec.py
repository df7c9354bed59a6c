"""Commands run by the library, beside ninja and the floor on the same commands.

ninja and the floor are whole processes, started again in each round. fastrun runs inside this process, so its figures
include reading the document, a dict, but no start-up. ``compare`` measures whole processes on both sides.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.compare.peers import Unavailable, find_peer
from bench.generators import Document, deep, shaped, true_command, wide
from bench.micro.sizes import SHAPES
from bench.micro.timed import timed, timed_process

pytestmark = pytest.mark.benchmark(group="exec")

WIDE = wide(500, true_command)
CHAIN = deep(200, true_command)

# A document, and the most commands at once.
CASES = [
    pytest.param(WIDE, 2, id="wide-j2", marks=pytest.mark.small),
    pytest.param(WIDE, 16, id="wide-j16"),
    pytest.param(CHAIN, 16, id="chain"),
]


@pytest.mark.parametrize(("document", "jobs"), CASES)
def test_fastrun(benchmark: BenchmarkFixture, document: Document, jobs: int) -> None:
    assert timed(benchmark, fastrun.run, document, jobs=jobs).ok


@pytest.mark.parametrize("module", ["ninja", "floor"])
@pytest.mark.parametrize(("document", "jobs"), CASES)
def test_peer(benchmark: BenchmarkFixture, tmp_path: Path, document: Document, jobs: int, module: str) -> None:
    peer = find_peer(module)
    try:
        peer.version()
    except Unavailable as error:
        pytest.skip(str(error))
    # A peer without dependencies runs a chain as one command at a time.
    at_once = 1 if document is CHAIN and not peer.KNOWS_DEPENDENCIES else jobs
    peer.prepare(document, str(tmp_path))
    timed_process(benchmark, lambda: peer.command(str(tmp_path), at_once))


@pytest.mark.parametrize("tasks", [100, pytest.param(5_000, marks=pytest.mark.large)])
@pytest.mark.parametrize("shape", SHAPES)
def test_shape(benchmark: BenchmarkFixture, shape: str, tasks: int) -> None:
    assert timed(benchmark, fastrun.run, shaped(shape, tasks, true_command), jobs=16).ok

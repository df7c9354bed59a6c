"""Commands run by the library, beside ninja and the floor on the same commands, and what of it is whose.

ninja and the floor are whole processes, started again in each round. fastrun runs inside this process, so its figures
include reading the document, a dict, but no start-up. ``compare`` measures whole processes on both sides.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.compare.peers import Unavailable, find_peer
from bench.generators import Document, deep, shaped, true_command, wide
from bench.micro.sizes import SHAPES
from bench.micro.timed import timed, timed_process
from fastrun.document.parse import read
from fastrun.executors.commands import choice, native
from fastrun.outcome import OK, Report, Start
from fastrun.plan.graph import build
from fastrun.protocols import Chain, Events
from fastrun.runner.runner import Run

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


class Instant:
    """An executor whose commands do nothing: each has started and ended well in the moment in which it is given."""

    longest_chain = 64

    slots = 16

    def open(self, events: Events) -> None:
        """Begin."""
        self._events = events

    async def start(self, chains: Sequence[Chain]) -> None:
        """Start and end all tasks of the chains."""
        for chain in chains:
            for number, _ in chain:
                self._events.task_started(number, Start(pid=1))
                self._events.task_ended(number, OK)

    def recall(self) -> None:
        """Do nothing: all have ended."""

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Do nothing, as above."""

    def suspend(self, *, resume: bool) -> None:
        """Do nothing, as above."""

    async def close(self) -> None:
        """Do nothing, as above."""


@pytest.mark.parametrize("document", [pytest.param(WIDE, id="wide"), pytest.param(CHAIN, id="chain")])
def test_without_commands(benchmark: BenchmarkFixture, document: Document) -> None:
    """Measure what the runner and the scheduler take of a command, without its process."""

    def run() -> Report:
        graph = build(read(document, "document"))
        return uvloop.run(Run(graph, {"exec": Instant()}, [], warn=print).run())

    assert timed(benchmark, run).ok


@pytest.mark.skipif(choice.wanted_engine() != choice.NATIVE, reason="the native engine alone has threads")
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("jobs", [2, 16])
def test_threads(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, threads: int, jobs: int) -> None:
    """Measure the native engine with so many threads, however many processors there are."""
    monkeypatch.setattr(native, "thread_count", lambda *_: threads)
    assert timed(benchmark, fastrun.run, WIDE, jobs=jobs).ok


@pytest.mark.parametrize("engine", [choice.NATIVE, choice.PYTHON])
def test_engine(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setenv(choice.VARIABLE, engine)
    try:
        choice.wanted_engine()
    except ValueError as error:
        pytest.skip(str(error))
    assert timed(benchmark, fastrun.run, WIDE, jobs=16).ok

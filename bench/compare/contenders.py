"""Contenders made ready: sizes, folders with documents, fastrun and its peers.

Does not know the cases.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from bench.compare.case import Contender
from bench.compare.peers import DOCUMENT, Unavailable, find_peer
from bench.measure import Measured, child_environment, measure

# Seconds after which a contender is killed and left out: more than ten times as long as any takes.
TIMEOUT = 300.0

FASTRUN = "fastrun"


class Sizes(NamedTuple):
    """Numbers of tasks of the cases, and what else makes them large.

    ``loaded``: how many tasks run, then how many the small and the large document have. ``growth``: numbers of
    snippets, then of commands. ``megabytes``: printed by one task alone, then by each of eight.
    ``objects``, ``headers``: files of a project that is brought up to date; ``compiles``: of one that is compiled.
    ``makespan``: seconds of a workflow's lower bound. ``rounds``: most rounds of a case.
    """

    commands: int
    pipes: int
    chain: int
    snippets: int
    naps: int
    sleeps: int
    loaded: tuple[int, int, int]
    million: int
    peers: int
    growth: tuple[tuple[int, ...], tuple[int, ...]]
    megabytes: tuple[int, int]
    objects: int
    headers: int
    compiles: int
    makespan: float
    rounds: int


FULL = Sizes(
    commands=5_000,
    pipes=2_000,
    chain=2_000,
    snippets=100_000,
    naps=200,
    sleeps=1_000,
    loaded=(2_000, 3_000, 1_000_000),
    million=1_000_000,
    peers=300,
    growth=((1_000, 10_000), (100, 1_000)),
    megabytes=(1_000, 100),
    objects=10_000,
    headers=1_000,
    compiles=40,
    makespan=3.0,
    rounds=100,
)
QUICK = Sizes(
    commands=20,
    pipes=20,
    chain=20,
    snippets=1_000,
    naps=4,
    sleeps=2,
    loaded=(20, 50, 1_000),
    million=1_000,
    peers=20,
    growth=((100, 1_000), (10,)),
    megabytes=(2, 1),
    objects=20,
    headers=5,
    compiles=2,
    makespan=0.1,
    rounds=1,
)


class Setting(NamedTuple):
    """The folder for documents, and their sizes. ``workflows``: a folder, see ``find_workflows``."""

    folder: str
    sizes: Sizes
    workflows: str | None = None


def document_folder(setting: Setting, shape: str, n: int, make: str, *options: str) -> str:
    """Make a folder with a document of ``bench.generators``, in a separate process: see ``measure`` about memory."""
    folder = os.path.join(setting.folder, f"{shape}-{n}-{make}")
    if not os.path.exists(folder):
        os.mkdir(folder)
        command = [sys.executable, "-m", "bench.generators", shape, str(n), make, *options]
        with open(os.path.join(folder, DOCUMENT), "wb") as file:
            subprocess.run(command, stdout=file, env=child_environment(), timeout=TIMEOUT, check=True)
    return folder


def peer_contenders(
    folder: str, peers: Sequence[str], jobs: int, *, marker: bytes = b"", stop: bool = False
) -> tuple[list[Contender], list[tuple[str, str]]]:
    """Make peers ready for the folder's document. Returns them, and of unavailable peers names and reasons."""
    contenders, missing = [], []
    for module in peers:
        peer = find_peer(module)
        try:
            peer.version()
            _prepare(module, folder)
        except Unavailable as error:
            missing.append((peer.NAME, str(error)))
            continue

        def run(command: Callable[[str, int], list[str]] = peer.command) -> Measured:
            return measure(command(folder, jobs), timeout=TIMEOUT, marker=marker, stop=stop)

        contenders.append(Contender(peer.NAME, run))
    return contenders, missing


def _prepare(module: str, folder: str) -> None:
    """Write the files that a peer reads. Raises Unavailable if that fails, as with a compiler without headers."""
    command = [sys.executable, "-m", "bench.compare.peers", folder, module]
    result = subprocess.run(
        command, env=child_environment(), timeout=TIMEOUT, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise Unavailable(f"failed: {(result.stderr.strip() or 'no reason given').splitlines()[-1]}")


def fastrun_contender(
    folder: str, jobs: int | None = None, *options: str, marker: bytes = b"", stop: bool = False
) -> Contender:
    """Return fastrun on the folder's document, named with its options."""
    bound = ["-j", str(jobs)] if jobs else []
    command = [sys.executable, "-m", "fastrun", *bound, *options, os.path.join(folder, DOCUMENT)]
    run = partial(measure, command, timeout=TIMEOUT, marker=marker, stop=stop)
    return Contender(" ".join([FASTRUN, *options]), run)


def journal_contender(folder: str, jobs: int | None = None) -> Contender:
    """Return fastrun with a journal, which is removed before each run."""
    journal = os.path.join(folder, "run.journal")
    found = fastrun_contender(folder, jobs, "--journal", journal)

    def run() -> Measured:
        with suppress(FileNotFoundError):
            os.unlink(journal)
        return found.run()

    return Contender(f"{FASTRUN} --journal", run)

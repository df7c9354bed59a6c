"""Whole processes side by side: ``python -m bench.compare [--rounds N] [CASE ...]``.

Every figure is of a fresh process. Within a case the contenders take turns, round after round, so that what the
machine does meanwhile meets all of them. Standard output of each is a pipe that is read here and thrown away, on
the same processors: who prints more pays more.

The statistic is the median. Times on a shared machine are skewed: most lie near the lowest, a few, when somebody
else wanted the processor, far above. The mean follows those few; the minimum is a moment of luck that nobody who
runs the program will see. Minimum and maximum stand beside it: where they lie far apart, measure again. So does
the median of the processor time, the commands' own included: others on the machine disturb that less.

A ratio says how many times as long as this row the last row of its case took. Biases are named in ``floor``,
``ninja`` and ``loop``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import NamedTuple

from bench.floor import compile_floor, floor_command
from bench.generators import true_command, wide
from bench.machine import facts
from bench.measure import Measured, Unavailable, child_environment, measure, own_peak
from bench.ninja import find_ninja, ninja_command, write_build_file

COMMANDS = 5_000
SNIPPETS = 100_000
LOADED = 2_000
LOADED_SMALL, LOADED_LARGE = 3_000, 1_000_000
MILLION = 1_000_000

# Seconds after which a contender is killed and the comparison given up; ten times what they take, and more.
TIMEOUT = 300.0

_COLUMNS = "{:<32} {:<17} {:>8}  {:>15}  {:>7}  {:>12}  {:>7}  {:>5}"


class Contender(NamedTuple):
    """``run``: does it once. ``seconds``: the figure that counts."""

    name: str
    run: Callable[[], Measured]
    seconds: Callable[[Measured], float] = lambda measured: measured.seconds


class Case(NamedTuple):
    """``contenders``: fastrun last."""

    title: str
    contenders: list[Contender]


def main() -> None:
    """Run the cases and print a table."""
    parser = argparse.ArgumentParser("python -m bench.compare", description="Compare whole processes.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each contender (default: 5)")
    options = parser.parse_args()
    for name in options.cases:
        if name not in CASES:
            parser.error(f"{name}: there is no such case")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    for key, value in facts().items():
        print(f"{key}: {value}")
    print(f"load average: {os.getloadavg()[0]:.1f}; median of {options.rounds}; output: a pipe that is read\n")
    print(_COLUMNS.format("case", "", "median s", "min-max", "cpu s", "first output", "peak MB", "ratio"))
    with tempfile.TemporaryDirectory(prefix="fastrun-bench-") as folder:
        for name in options.cases or CASES:
            for case in CASES[name](folder):
                _print_case(case, options.rounds)


def _print_case(case: Case, rounds: int) -> None:
    runs: list[list[Measured]] = [[] for _ in case.contenders]
    for _ in range(rounds):
        for contender, measured in zip(case.contenders, runs, strict=True):
            measured.append(contender.run())
    seconds = [[c.seconds(m) for m in measured] for c, measured in zip(case.contenders, runs, strict=True)]
    last = median(seconds[-1])
    for contender, measured, figures in zip(case.contenders, runs, seconds, strict=True):
        firsts = [m.first for m in measured if m.first is not None]
        row = [
            case.title,
            contender.name,
            f"{median(figures):.3f}",
            f"{min(figures):.3f}-{max(figures):.3f}",
            f"{median(m.cpu for m in measured):.3f}",
            f"{median(firsts):.3f}" if firsts else "-",
            _peak(measured),
            f"{last / median(figures):.2f}",
        ]
        print(_COLUMNS.format(*row), flush=True)


def _peak(runs: list[Measured]) -> str:
    """The highest peak in MB. Below this process's own it cannot be told, see ``measure``."""
    peak, own = max(measured.peak for measured in runs), own_peak()
    return f"{peak / 1e6:.0f}" if peak > own else f"<{own / 1e6:.0f}"


def _exec_cases(folder: str) -> list[Case]:
    """Many commands that do nothing."""
    document = _write(folder, "wide", COMMANDS, "true")
    write_build_file(wide(COMMANDS, true_command), folder)
    cases = []
    for jobs in (2, 16):
        contenders = []
        try:
            floor = floor_command(compile_floor(folder), COMMANDS, jobs)
            contenders.append(Contender("floor", partial(measure, floor, timeout=TIMEOUT)))
        except Unavailable as error:
            print(f"without floor: {error}")
        try:
            ninja = partial(ninja_command, find_ninja(), folder, jobs)
            contenders.append(Contender("ninja", partial(_measure_fresh, ninja)))
        except Unavailable as error:
            print(f"without ninja: {error}")
        contenders.append(Contender("fastrun", partial(measure, _fastrun(document, jobs), timeout=TIMEOUT)))
        cases.append(Case(f"{COMMANDS:,} x true, -j {jobs}", contenders))
    return cases


def _eval_cases(folder: str) -> list[Case]:
    """Many snippets, none like another."""
    document = _write(folder, "wide", SNIPPETS, "distinct")
    return [Case(f"{SNIPPETS:,} distinct snippets", _loop_and_fastrun(document))]


def _loaded_cases(folder: str) -> list[Case]:
    """What commands cost with many other tasks in memory: nothing more, it is hoped.

    The time from the first line of output to that which says that the gate started, which is when all commands
    have ended. Seen from outside, in the program as it is; loading and the report lie before and after.
    """
    contenders = []
    for tasks in (LOADED_SMALL, LOADED_LARGE):
        document = _write(folder, "gated", tasks, "true", "--before", str(LOADED))
        run = partial(
            measure,
            _fastrun(document, 16),
            timeout=TIMEOUT,
            marker=f"Started: task{LOADED}\n".encode(),
            exit_code=1,
        )
        contenders.append(Contender(f"{tasks:,} loaded", run, _until_marked))
    return [Case(f"{LOADED:,} x true, -j 16", contenders)]


def _million_cases(folder: str) -> list[Case]:
    """Loading, running and reporting a million tasks. The loop knows nothing of their dependencies."""
    document = _write(folder, "random", MILLION, "same", "--edges", "3")
    return [Case(f"{MILLION:,} tasks, 3 dependencies", _loop_and_fastrun(document))]


CASES = {"exec": _exec_cases, "eval": _eval_cases, "loaded": _loaded_cases, "million": _million_cases}


def _loop_and_fastrun(document: str) -> list[Contender]:
    loop = [sys.executable, "-m", "bench.loop", document]
    return [
        Contender("bare loop", partial(measure, loop, timeout=TIMEOUT)),
        Contender("fastrun", partial(measure, _fastrun(document), timeout=TIMEOUT)),
    ]


def _fastrun(document: str, jobs: int | None = None) -> list[str]:
    return [sys.executable, "-m", "fastrun", *(["-j", str(jobs)] if jobs else []), document]


def _measure_fresh(command: Callable[[], list[str]]) -> Measured:
    return measure(command(), timeout=TIMEOUT)


def _until_marked(measured: Measured) -> float:
    if measured.marked is None:
        raise RuntimeError("the line to wait for was never printed")
    return measured.marked


def _write(folder: str, shape: str, n: int, make: str, *options: str) -> str:
    """Make a document, in a process of its own: see ``measure`` about memory. Returns its path."""
    path = os.path.join(folder, f"{shape}-{n}-{make}.json")
    command = [sys.executable, "-m", "bench.generators", shape, str(n), make, *options]
    with open(path, "wb") as file:
        subprocess.run(command, stdout=file, env=child_environment(), timeout=TIMEOUT, check=True)
    return path


if __name__ == "__main__":
    main()

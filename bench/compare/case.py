"""Whole processes side by side.

Every figure is of a fresh process. Within a case the contenders take turns, round after round, so that what the
machine does meanwhile meets all of them. Standard output of each is a pipe that is read here and thrown away, on
the same processors: who prints more pays more. What the figures mean is ``record``'s to say, what is run ``cases``'.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from bench.compare.record import Figure, Result, Run, Target
from bench.measure import Measured, own_peak


class Contender(NamedTuple):
    """``run``: does it once."""

    name: str
    run: Callable[[], Measured]


class Case(NamedTuple):
    """What is measured together; the fields are those of ``Result``. ``contenders``: fastrun last."""

    name: str
    title: str
    tasks: int
    rounds: int
    contenders: Sequence[Contender]
    targets: Sequence[Target] = ()
    unit: str = "command"
    figure: Figure = "seconds"
    missing: Sequence[tuple[str, str]] = ()
    plot: Literal["", "growth", "peers"] = ""
    together: bool = False


def run_case(case: Case, rounds: int) -> Result:
    """Run every contender so many times. One that fails is left out, and named with what it said."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in case.contenders}
    missing = dict(case.missing)
    for _ in range(rounds):
        for contender in case.contenders:
            if contender.name in missing:
                continue
            try:
                runs[contender.name].append(Run(*contender.run()))
            except RuntimeError as error:
                missing[contender.name] = f"failed: {error}"
                del runs[contender.name]
                print(f"{case.title}: {contender.name} {missing[contender.name]}", file=sys.stderr)
    return Result(
        name=case.name,
        title=case.title,
        tasks=case.tasks,
        unit=case.unit,
        figure=case.figure,
        runs=runs,
        targets=list(case.targets),
        missing=missing,
        plot=case.plot,
        together=case.together,
        own_peak=own_peak(),
    )

"""One case: contenders that run in turn.

Every figure is of a fresh process. The contenders of a case take turns, round after round, so that all of them meet the
same load of the machine. Their standard output is a pipe, which this process reads and throws away on the same
processors: a contender that prints more pays more. ``record`` says what the figures mean, ``cases`` what runs.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from bench.compare.record import Figure, Result, Run, Target
from bench.measure import Measured, own_peak


class Contender(NamedTuple):
    """A program on a document. ``run``: runs it once."""

    name: str
    run: Callable[[], Measured]


class Case(NamedTuple):
    """Contenders that are measured together; ``Result`` describes the fields. ``contenders``: fastrun comes last."""

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
    """Run every contender ``rounds`` times. A contender that fails is left out and named in ``missing``."""
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

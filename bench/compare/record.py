"""What a comparison measured, as JSON keeps it, and what follows from it: ratios and verdicts.

Knows figures only; neither how they came about nor how they are shown.

The statistic is the median. Times on a shared machine are skewed: most lie near the lowest, a few, when somebody
else wanted the processor, far above. The mean follows those few; the minimum is a moment of luck that nobody who
runs the program will see. A ratio is taken within each round, in which the contenders followed each other, so that
what slowed the machine down for a while slowed both; the median of those is the ratio that counts. The ratio of the
medians stands beside it: where the two differ, measure again.
"""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

import orjson

# A field of Run.
Figure = Literal["seconds", "marked", "peak"]


class Run(NamedTuple):
    """One process; see ``measure.Measured``."""

    seconds: float
    cpu: float
    peak: int
    first: float | None = None
    marked: float | None = None


@dataclass(frozen=True)
class Target:
    """What must hold: ``contender``'s figure is at most ``limit``, in one of three ways.

    ``ratio``: that many times ``against``'s. ``excess``: that much more than ``against``'s. ``most``: itself.
    ``figure``: None for the one that counts in the case. Seconds, or bytes where it is ``peak``. ``bound``: a contender
    whose own value says what can be reached.
    """

    contender: str
    limit: float
    against: str = ""
    kind: Literal["ratio", "excess", "most"] = "ratio"
    figure: Figure | None = None
    bound: str = ""


@dataclass(frozen=True)
class Result:
    """A case that was measured.

    ``name``: its family, as the command line has it. ``unit``: "command" or "snippet". ``figure``: the one that counts.
    ``runs``: of each contender, round by round, fastrun last. ``missing``: why others were not measured. ``plot``: the
    one in which it is shown. ``own_peak``: bytes; lower peaks cannot be told from it, see ``measure``.
    ``together``: it is a row in the table of its family, in which a contender is a column.
    """

    name: str
    title: str
    tasks: int
    unit: str
    figure: Figure
    runs: dict[str, list[Run]]
    targets: list[Target] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    plot: Literal["", "growth", "peers"] = ""
    own_peak: int = 0
    together: bool = False


@dataclass(frozen=True)
class Comparison:
    """All cases. ``quick``: so small that the figures mean nothing. ``seconds``: what all of it took."""

    facts: dict[str, str]
    peers: dict[str, str]
    command: str
    quick: bool
    seconds: float
    results: list[Result]


class Spread(NamedTuple):
    """A median with what it lies between."""

    middle: float
    low: float
    high: float


class Verdict(NamedTuple):
    """What became of a target.

    ``value``: what is to be at most the limit, in each round, or None if somebody was not measured. ``of_medians``: the
    same of the medians. ``met``: None if that cannot be said.
    """

    target: Target
    value: Spread | None
    of_medians: float | None
    met: bool | None


def spread(values: list[float]) -> Spread:
    """The median, the least and the most."""
    return Spread(median(values), min(values), max(values))


def figures(runs: list[Run], figure: Figure) -> list[float]:
    """One figure of each run. Raises ValueError where a run has none."""
    found = [getattr(run, figure) for run in runs]
    if None in found:
        raise ValueError(f"a run without {figure}")
    return found


def verdict(result: Result, target: Target) -> Verdict:
    """Compare round by round, then judge the median."""
    ours, theirs = result.runs.get(target.contender), result.runs.get(target.against)
    if not ours or (target.against and not theirs):
        return Verdict(target, None, None, None)
    figure = target.figure or result.figure
    a = figures(ours, figure)
    b = figures(theirs, figure) if theirs else [0.0] * len(a)

    def value(x: float, y: float) -> float:
        return x / y if target.kind == "ratio" else x - y

    rounds = spread([value(x, y) for x, y in zip(a, b, strict=True)])
    return Verdict(target, rounds, value(median(a), median(b)), rounds.middle <= target.limit)


def dump(comparison: Comparison) -> bytes:
    """The comparison as JSON."""
    data = asdict(comparison)
    for result, found in zip(data["results"], comparison.results, strict=True):
        result["runs"] = {name: [run._asdict() for run in runs] for name, runs in found.runs.items()}
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def load(text: bytes) -> Comparison:
    """The comparison that ``dump`` made JSON of."""
    data: dict[str, Any] = orjson.loads(text)
    results = []
    for result in data.pop("results"):
        runs = {name: [Run(**run) for run in found] for name, found in result.pop("runs").items()}
        targets = [Target(**target) for target in result.pop("targets")]
        results.append(Result(**result, runs=runs, targets=targets))
    return Comparison(**data, results=results)

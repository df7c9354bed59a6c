"""Figures of a comparison, as JSON keeps them, and what follows from them: ratios and verdicts.

Knows only figures, not how they were measured or how they are shown.

The statistic is the median. Times on a shared machine are skewed: most are near the lowest, and a few, taken while
another program wanted the processor, are far above. The mean follows these few. The minimum is a moment of luck that no
user of the program will see. A ratio is taken within each round, in which the contenders ran one after the other, so a
load that lasts for a while slows both. The median of these ratios is the ratio that counts. The ratio of the medians
stands beside it: if the two differ, measure again.
"""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

import orjson

# Name of a field of ``Run``.
Figure = Literal["seconds", "marked", "peak"]


class Run(NamedTuple):
    """Figures of one process; ``measure.Measured`` describes the fields."""

    seconds: float
    cpu: float
    peak: int
    first: float | None = None
    marked: float | None = None


@dataclass(frozen=True)
class Target:
    """A limit for the figure of ``contender``.

    ``kind``: whether ``limit`` is the most for the ratio of the figure to that of ``against`` (``ratio``), for the
    difference of the two (``excess``), or for the figure itself (``most``). ``figure``: None for that of the case;
    ``peak`` is in bytes, all others in seconds. ``bound``: another contender, whose value shows what is within reach.
    """

    contender: str
    limit: float
    against: str = ""
    kind: Literal["ratio", "excess", "most"] = "ratio"
    figure: Figure | None = None
    bound: str = ""


@dataclass(frozen=True)
class Result:
    """A case with its figures.

    ``name``: its family, as on the command line. ``unit``: "command" or "snippet". ``figure``: the figure that counts.
    ``runs``: for each contender one run per round; fastrun comes last. ``missing``: for each contender that was not
    measured the reason. ``plot``: the plot that shows the case. ``own_peak``: bytes, the peak of the measuring process;
    lower peaks cannot be told, see ``measure``. ``together``: whether the family is one table, with a row per case and
    a column per contender.
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
    """All cases. ``quick``: whether the sizes are too small for figures to mean anything. ``seconds``: of all of it."""

    facts: dict[str, str]
    peers: dict[str, str]
    command: str
    quick: bool
    seconds: float
    results: list[Result]


class Spread(NamedTuple):
    """A median, the least and the most."""

    middle: float
    low: float
    high: float


class Verdict(NamedTuple):
    """Whether a target is met.

    ``value``: the ratio, difference or figure that the target limits, over all rounds. ``of_medians``: the same,
    computed from the medians. All three are None if a contender was not measured.
    """

    target: Target
    value: Spread | None
    of_medians: float | None
    met: bool | None


def spread(values: list[float]) -> Spread:
    """Return the median, the least and the most."""
    return Spread(median(values), min(values), max(values))


def figures(runs: list[Run], figure: Figure) -> list[float]:
    """Return one figure of each run. Raises ValueError if a run lacks it."""
    found = [getattr(run, figure) for run in runs]
    if None in found:
        raise ValueError(f"a run without {figure}")
    return found


def verdict(result: Result, target: Target) -> Verdict:
    """Judge a target by the median of what is compared in each round."""
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
    """Return the comparison as JSON."""
    data = asdict(comparison)
    for result, found in zip(data["results"], comparison.results, strict=True):
        result["runs"] = {name: [run._asdict() for run in runs] for name, runs in found.runs.items()}
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def load(text: bytes) -> Comparison:
    """Return the comparison that ``dump`` wrote."""
    data: dict[str, Any] = orjson.loads(text)
    results = []
    for result in data.pop("results"):
        runs = {name: [Run(**run) for run in found] for name, found in result.pop("runs").items()}
        targets = [Target(**target) for target in result.pop("targets")]
        results.append(Result(**result, runs=runs, targets=targets))
    return Comparison(**data, results=results)

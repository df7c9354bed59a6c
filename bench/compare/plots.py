"""Plots of a comparison: cost per task against the number of tasks, and all peers side by side."""

import math
from pathlib import Path
from typing import Any

from bench.compare.peers import package_version
from bench.compare.record import Comparison, Result, Spread, figures, spread

# A contender has the same colour in both plots; fastrun stands out.
_OURS = "#d62728"
_OTHERS = ("#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f")


def draw(comparison: Comparison, folder: Path) -> list[str]:
    """Write ``cost.svg`` and ``peers.svg``, each only if the comparison has figures for it. Returns their paths.

    Raises Unavailable without matplotlib.
    """
    package_version("matplotlib")
    # Lazy: the import is slow and large, and must not disturb a measurement.
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file: ids come from the salt, not at random.
    mpl.rcParams["svg.hashsalt"] = "fastrun"
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, make in (("cost", _draw_cost), ("peers", _draw_peers)):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        if make(figure, comparison):
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            names.append(str(path))
    return names


def cost_points(results: list[Result], unit: str) -> dict[str, list[tuple[int, Spread]]]:
    """Return for each contender the numbers of tasks, in rising order, with microseconds per task."""
    points: dict[str, list[tuple[int, Spread]]] = {}
    for result in sorted(results, key=lambda result: result.tasks):
        if result.plot == "growth" and result.unit == unit:
            for name, cost in _costs(result).items():
                points.setdefault(name, []).append((result.tasks, cost))
    # fastrun is last and so drawn above the others.
    return dict(sorted(points.items(), key=lambda item: item[0] == "fastrun"))


def _costs(result: Result) -> dict[str, Spread]:
    """Return the microseconds per task of each contender."""
    return {
        name: spread([seconds / result.tasks * 1e6 for seconds in figures(runs, result.figure)])
        for name, runs in result.runs.items()
    }


def _draw_cost(figure: Any, comparison: Comparison) -> bool:
    units = [unit for unit in ("snippet", "command") if cost_points(comparison.results, unit)]
    if not units:
        return False
    for unit, axes in zip(units, figure.subplots(1, len(units), squeeze=False)[0], strict=True):
        colours = iter(_OTHERS)
        for name, points in cost_points(comparison.results, unit).items():
            counts = [count for count, _ in points]
            middles = [cost.middle for _, cost in points]
            below = [cost.middle - cost.low for _, cost in points]
            above = [cost.high - cost.middle for _, cost in points]
            colour = _OURS if name == "fastrun" else next(colours)
            axes.errorbar(counts, middles, yerr=(below, above), label=name, color=colour, marker="o", capsize=3)
        axes.set(xscale="log", yscale="log", xlabel=f"{unit}s", ylabel=f"microseconds per {unit}, start-up included")
        axes.set_title("different snippets" if unit == "snippet" else "true, 16 at once")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_minor_formatter("")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        axes.grid(visible=True, which="both", alpha=0.2)
        axes.legend()
    return True


def _draw_peers(figure: Any, comparison: Comparison) -> bool:
    results = [result for result in comparison.results if result.plot == "peers"]
    if not results:
        return False
    result = results[0]
    costs = dict(sorted(_costs(result).items(), key=lambda item: -item[1].middle))
    axes = figure.subplots()
    middles = [cost.middle for cost in costs.values()]
    spreads = ([c.middle - c.low for c in costs.values()], [c.high - c.middle for c in costs.values()])
    colours = [_OURS if name == "fastrun" else _OTHERS[0] for name in costs]
    bars = axes.barh(list(costs), middles, xerr=spreads, color=colours, capsize=3)
    axes.bar_label(bars, [f"{middle:,.0f}" for middle in middles], padding=6)
    axes.set(xscale="log", xlabel="microseconds per command, start-up included", title=result.title)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    # Bars begin at a power of ten, as a logarithmic axis has no zero. The right margin is for the numbers.
    axes.set_xlim(10 ** math.floor(math.log10(min(middles))), 2 * max(cost.high for cost in costs.values()))
    return True

"""Reports of a comparison: the table on the terminal and the page of results.

Knows nothing of how the figures were measured.
"""

import inspect
from dataclasses import replace
from itertools import groupby

from bench.compare.peers import COMMAND_PEERS, SNIPPET_PEERS, find_peer
from bench.compare.record import Comparison, Result, Spread, Target, Verdict, figures, spread, verdict
from bench.compare.workflows.schedules import schedules

_COLUMNS = "{:<34} {:<25} {:>8}  {:>15}  {:>7}  {:>7}  {:>8}  {:>18}"

# Stands in a page of results before its sections that are written by hand.
BY_HAND = "<!-- Written by hand from here on, and kept when the figures are made anew. -->"

HEADER = _COLUMNS.format("case", "", "median s", "min-max", "cpu s", "first", "peak MB", "fastrun's ratio")


def result_lines(result: Result) -> list[str]:
    """Return a line per contender; its ratio is that of the last contender to it. A case shown together is one line."""
    if result.together:
        cells = [f"{name} {spread(figures(runs, result.figure)).middle:.3f}" for name, runs in result.runs.items()]
        return [f"{result.title}: {'; '.join(cells)}"]
    lines = []
    for name, cells in _rows(result):
        lines.append(_COLUMNS.format(result.title[:34], name[:25], *cells))
    return [*lines, *(f"{result.title}: without {name}: {why}" for name, why in result.missing.items())]


def verdict_lines(comparison: Comparison) -> list[str]:
    """Return a line per target with its verdict, and a line with the time of the whole comparison."""
    lines = [
        f"{_met(found, comparison):<8} {result.title}: {_claim(found.target)}: {_value(found)}"
        for result in comparison.results
        for found in _verdicts(result)
    ]
    return [*lines, f"{comparison.seconds:.0f} s in all"]


def results_page(comparison: Comparison, earlier: str = "") -> str:
    """Return a page in Markdown: targets, all figures, machine, versions, biases.

    ``earlier``: the page as it was. Its sections that were written by hand are kept.
    """
    lines = [
        "# Results",
        "",
        f"Made by `{comparison.command}` in {comparison.seconds / 60:.1f} minutes.",
        "Whole processes; the contenders of a case take turns, and their output is read from a pipe. Trust the ratios,",
        "and measure on your machine.",
        "",
    ]
    if comparison.quick:
        lines += ["With `--quick`: the figures show that everything runs, not how fast.", ""]
    lines += ["## Targets", "", *_targets(comparison), ""]
    lines += ["## All figures", "", "Ratio: of the last row's figure to the row's own, median of the rounds (min-max)."]
    for name, group in groupby(comparison.results, lambda result: result.name if result.together else ""):
        results = list(group)
        if name:
            lines += ["", *_together(results)]
        else:
            for result in results:
                lines += ["", *_figures(result)]
    lines += ["", "## Machine and versions", "", "| | |", "| --- | --- |"]
    lines += [f"| {key} | {value} |" for key, value in {**comparison.facts, **comparison.peers}.items()]
    lines += ["", "## Where the comparison is biased", "", *_biases(), ""]
    _, marker, by_hand = earlier.partition(BY_HAND)
    return "\n".join([*lines, marker + by_hand]) if marker else "\n".join(lines)


def _targets(comparison: Comparison) -> list[str]:
    lines = [
        "Measured: the median of the rounds, with the least and the most. Of medians: the same, computed from medians.",
        "Within reach: the same for the smallest Python program for such tasks, in the same rounds. For commands that",
        "is a bare loop of the same system calls, after the same imports.",
        "",
        "| work | must hold | measured | of medians | within reach | met |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in comparison.results:
        for found in _verdicts(result):
            of_medians = "" if found.of_medians is None else _quantity(found.of_medians, found.target)
            bound = _bound(result, found.target)
            cells = [result.title, _claim(found.target), _value(found), of_medians, bound, _met(found, comparison)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _figures(result: Result) -> list[str]:
    rounds = max((len(runs) for runs in result.runs.values()), default=0)
    lines = [
        f"### {result.title}",
        "",
        f"`{result.name}`, {rounds} {'round' if rounds == 1 else 'rounds'}.",
        "",
        "| | median s | min-max | cpu s | first output s | peak MB | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in _rows(result)]
    if result.missing:
        lines += ["", *(f"Without {name}: {why}." for name, why in result.missing.items())]
    return lines


def _together(results: list[Result]) -> list[str]:
    """Return the table of a family: a row per case, a column per contender."""
    names = list(dict.fromkeys(name for result in results for name in result.runs))
    lines = [
        f"### {results[0].name}",
        "",
        "Seconds unless the row says otherwise; with several rounds their median.",
        "",
        f"| | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    notes = []
    for result in results:
        found = {name: f"{spread(figures(runs, result.figure)).middle:.3f}" for name, runs in result.runs.items()}
        lines.append(f"| {result.title} | {' | '.join(found.get(name, '-') for name in names)} |")
        notes += [f"{result.title}: without {name}: {why}." for name, why in result.missing.items()]
    return [*lines, "", *notes] if notes else lines


def _rows(result: Result) -> list[tuple[str, list[str]]]:
    """Return for each measured contender: seconds, spread, processor time, first output, memory, ratio."""
    rows = []
    last = list(result.runs)[-1] if result.runs else ""
    for name, runs in result.runs.items():
        seconds = spread(figures(runs, result.figure))
        firsts = [run.first for run in runs if run.first is not None]
        ratio = verdict(result, Target(last, 0.0, name)).value
        cells = [
            f"{seconds.middle:.3f}",
            f"{seconds.low:.3f}-{seconds.high:.3f}",
            f"{spread([run.cpu for run in runs]).middle:.3f}",
            f"{spread(firsts).middle:.3f}" if firsts else "-",
            _peak(result, name),
            "" if name == last or ratio is None else f"{ratio.middle:.2f} ({ratio.low:.2f}-{ratio.high:.2f})",
        ]
        rows.append((name, cells))
    return rows


def _peak(result: Result, name: str) -> str:
    """Return the highest peak in MB, or that it is below the measuring process's own, where it cannot be told."""
    peak = max(run.peak for run in result.runs[name])
    return f"{peak / 1e6:.0f}" if peak > result.own_peak else f"<{result.own_peak / 1e6:.0f}"


def _verdicts(result: Result) -> list[Verdict]:
    return [verdict(result, target) for target in result.targets]


def _claim(target: Target) -> str:
    """Return a target in words."""
    subject = f"peak memory of {target.contender}" if target.figure == "peak" else target.contender
    match target.kind:
        case "ratio":
            return f"{subject} <= {target.limit:g} x {target.against}"
        case "excess":
            return f"{subject} <= {target.against} + {_quantity(target.limit, target)}"
        case _:
            return f"{subject} <= {_quantity(target.limit, target)}"


def _quantity(value: float, target: Target) -> str:
    if target.kind == "ratio":
        return f"{value:.2f}"
    return f"{value / 1e6:.0f} MB" if target.figure == "peak" else f"{value:.3g} s"


def _value(found: Verdict) -> str:
    if found.value is None:
        return "not measured"
    middle, low, high = (_quantity(value, found.target) for value in found.value)
    return f"{middle} ({low}-{high})" if found.value != Spread(*[found.value.middle] * 3) else middle


def _bound(result: Result, target: Target) -> str:
    """Return the value that the target's bound reaches instead of its contender."""
    if not target.bound:
        return ""
    found = verdict(result, replace(target, contender=target.bound)).of_medians
    return "" if found is None else _quantity(found, target)


def _met(found: Verdict, comparison: Comparison) -> str:
    """Return a verdict in words; a quick run is not judged."""
    if found.met is None or comparison.quick:
        return "-"
    return "met" if found.met else "not met"


def _biases() -> list[str]:
    """Return a table of the docstrings of the peers and of the list schedules, which state the biases."""
    peers = [find_peer(module) for module in (*COMMAND_PEERS, *SNIPPET_PEERS)]
    documented = [(peer.NAME, inspect.getdoc(peer)) for peer in peers]
    documented.append(("list schedules", inspect.getdoc(schedules)))
    lines = ["| | |", "| --- | --- |"]
    for name, documentation in documented:
        text = " ".join((documentation or "").replace("``", "`").split())
        lines.append(f"| {name} | {text.replace('|', chr(92) + '|')} |")
    return lines

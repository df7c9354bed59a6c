"""Shows a comparison: the table on the terminal and the page of results. Knows nothing of how it was measured."""

import inspect
from dataclasses import replace
from itertools import groupby

from bench.compare.peers import COMMAND_PEERS, SNIPPET_PEERS, find_peer
from bench.compare.record import Comparison, Result, Spread, Target, Verdict, figures, spread, verdict
from bench.compare.workflows.schedules import schedules

_COLUMNS = "{:<34} {:<25} {:>8}  {:>15}  {:>7}  {:>7}  {:>8}  {:>18}"

HEADER = _COLUMNS.format("case", "", "median s", "min-max", "cpu s", "first", "peak MB", "fastrun's ratio")


def result_lines(result: Result) -> list[str]:
    """A row per contender; the ratio is how many times as long the last one took. One row where all are together."""
    if result.together:
        cells = [f"{name} {spread(figures(runs, result.figure)).middle:.3f}" for name, runs in result.runs.items()]
        return [f"{result.title}: {'; '.join(cells)}"]
    lines = []
    for name, cells in _rows(result):
        lines.append(_COLUMNS.format(result.title[:34], name[:25], *cells))
    return [*lines, *(f"{result.title}: without {name}: {why}" for name, why in result.missing.items())]


def verdict_lines(comparison: Comparison) -> list[str]:
    """What became of each target, a line each, and how long everything took."""
    lines = [
        f"{_met(found, comparison):<8} {result.title}: {_claim(found.target)}: {_value(found)}"
        for result in comparison.results
        for found in _verdicts(result)
    ]
    return [*lines, f"{comparison.seconds:.0f} s in all"]


def results_page(comparison: Comparison) -> str:
    """The page in Markdown: targets, all figures, machine, versions, biases."""
    lines = [
        "# Results",
        "",
        f"Made by `{comparison.command}` in {comparison.seconds / 60:.1f} minutes; not written by hand.",
        "Whole processes, the contenders of a case in turn, output read from a pipe. Trust the ratios, and measure on",
        "your machine.",
        "",
    ]
    if comparison.quick:
        lines += ["With `--quick`: the figures show that everything runs and say nothing of how fast.", ""]
    lines += ["## Targets", "", *_targets(comparison), ""]
    lines += ["## All figures", "", "Ratio: how many times as long the last row took, median of the rounds (min-max)."]
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
    return "\n".join(lines)


def _targets(comparison: Comparison) -> list[str]:
    lines = [
        "Measured is the median of the rounds, with the least and the most; beside it the same of the two medians.",
        "Within reach is what the least program of the kind has in the same rounds: for commands the same system",
        "calls, behind the same imports, in a bare loop of Python.",
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
    """A family's table: a row per case, a column per contender."""
    names = list(dict.fromkeys(name for result in results for name in result.runs))
    lines = [
        f"### {results[0].name}",
        "",
        "The figure of each, seconds unless the row says otherwise; of several rounds the median.",
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
    """Of each contender that was measured: seconds, spread, processor, first output, memory, ratio."""
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
    """The highest peak in MB. Below the measuring process's own it cannot be told."""
    peak = max(run.peak for run in result.runs[name])
    return f"{peak / 1e6:.0f}" if peak > result.own_peak else f"<{result.own_peak / 1e6:.0f}"


def _verdicts(result: Result) -> list[Verdict]:
    return [verdict(result, target) for target in result.targets]


def _claim(target: Target) -> str:
    """What must hold, in words."""
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
    """What the target's bound has in the contender's place."""
    if not target.bound:
        return ""
    found = verdict(result, replace(target, contender=target.bound)).of_medians
    return "" if found is None else _quantity(found, target)


def _met(found: Verdict, comparison: Comparison) -> str:
    """A word: figures of a quick run are not judged."""
    if found.met is None or comparison.quick:
        return "-"
    return "met" if found.met else "not met"


def _biases() -> list[str]:
    """What the docstrings of the peers say, and that of the schedules."""
    peers = [find_peer(module) for module in (*COMMAND_PEERS, *SNIPPET_PEERS)]
    documented = [(peer.NAME, inspect.getdoc(peer)) for peer in peers]
    documented.append(("list schedules", inspect.getdoc(schedules)))
    lines = ["| | |", "| --- | --- |"]
    for name, documentation in documented:
        text = " ".join((documentation or "").replace("``", "`").split())
        lines.append(f"| {name} | {text.replace('|', chr(92) + '|')} |")
    return lines

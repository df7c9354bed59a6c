"""Ratios, verdicts and how they are shown, from figures that are made up."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from bench.compare import plots, report
from bench.compare.case import Case, Contender, run_case
from bench.compare.cases import CASES
from bench.compare.contenders import QUICK, Setting, peer_contenders
from bench.compare.record import Comparison, Result, Run, Spread, Target, Verdict, dump, figures, load, spread, verdict
from bench.measure import Measured, child_environment

OURS = [Run(2.0, 1.0, 100_000_000), Run(3.0, 1.0, 90_000_000), Run(10.0, 1.0, 80_000_000)]
THEIRS = [Run(1.0, 0.5, 50_000_000, 0.1, 0.5), Run(2.0, 0.5, 40_000_000, 0.2), Run(4.0, 0.5, 40_000_000)]


def _result(*targets: Target, **changes) -> Result:
    values = {"name": "exec", "title": "some work", "tasks": 10, "unit": "command", "figure": "seconds"}
    return Result(**{**values, "runs": {"ninja": THEIRS, "fastrun": OURS}, "targets": list(targets), **changes})


def _comparison(*results: Result, quick: bool = False) -> Comparison:
    return Comparison({"cpus": "2"}, {"Luigi": "Luigi is not installed"}, "python -m bench", quick, 61.0, list(results))


def test_spread_is_the_median_between_least_and_most():
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_a_ratio_is_the_median_of_the_rounds():
    target = Target("fastrun", 2.0, "ninja")
    assert verdict(_result(), target) == Verdict(target, Spread(2.0, 1.5, 2.5), 1.5, True)


def test_a_target_is_met_at_the_limit_and_missed_beyond():
    assert verdict(_result(), Target("fastrun", 2.0, "ninja")).met is True
    assert verdict(_result(), Target("fastrun", 1.99, "ninja")).met is False


def test_an_excess_is_a_difference_and_a_most_the_figure_itself():
    excess = verdict(_result(), Target("fastrun", 45e6, "ninja", "excess", "peak"))
    assert (excess.value, excess.met) == (Spread(50e6, 40e6, 50e6), False)
    most = verdict(_result(), Target("fastrun", 3.0, kind="most"))
    assert (most.value, most.of_medians, most.met) == (Spread(3.0, 2.0, 10.0), 3.0, True)


def test_a_target_is_about_the_figure_of_its_case_unless_it_says_another():
    runs = {"few": [Run(1.0, 0, 100, 0.5, 2.0)], "many": [Run(9.0, 0, 300, 0.5, 3.0)]}
    result = _result(figure="marked", runs=runs)
    assert verdict(result, Target("many", 1.5, "few")).value == Spread(1.5, 1.5, 1.5)
    assert verdict(result, Target("many", 1.5, "few", figure="peak")).value == Spread(3.0, 3.0, 3.0)


def test_who_was_not_measured_is_not_judged():
    for target in (Target("fastrun", 1.0, "make"), Target("other", 1.0, "ninja"), Target("other", 1.0, kind="most")):
        assert verdict(_result(), target) == Verdict(target, None, None, None)


def test_a_run_without_the_figure_is_an_error():
    assert figures(THEIRS[:1], "marked") == [0.5]
    with pytest.raises(ValueError, match="without marked"):
        figures(THEIRS, "marked")


def test_a_comparison_survives_json():
    comparison = _comparison(_result(Target("fastrun", 1.0, "ninja"), missing={"Luigi": "no"}, plot="peers"))
    assert load(dump(comparison)) == comparison


def test_the_page_has_every_target_with_its_verdict():
    page = report.results_page(
        _comparison(
            _result(
                Target("fastrun", 2.0, "ninja", bound="ninja"),
                Target("fastrun", 1.0, "GNU make", bound="Luigi"),
                Target("fastrun", 32e6, "ninja", "excess", "peak"),
                Target("fastrun", 2.5, kind="most"),
                missing={"GNU make": "make is not installed"},
            )
        )
    ).splitlines()
    assert "| some work | fastrun <= 2 x ninja | 2.00 (1.50-2.50) | 1.50 | 1.00 | met |" in page
    assert "| some work | fastrun <= 1 x GNU make | not measured |  |  | - |" in page
    assert "| some work | peak memory of fastrun <= ninja + 32 MB | 50 MB (40 MB-50 MB) | 50 MB |  | not met |" in page
    assert "| some work | fastrun <= 2.5 s | 3 s (2 s-10 s) | 3 s |  | not met |" in page
    assert "Without GNU make: make is not installed." in page


def test_the_page_has_every_contender_and_the_ratio_to_the_last():
    page = report.results_page(_comparison(_result())).splitlines()
    assert "| ninja | 2.000 | 1.000-4.000 | 0.500 | 0.150 | 50 | 2.00 (1.50-2.50) |" in page
    assert "| fastrun | 3.000 | 2.000-10.000 | 1.000 | - | 100 |  |" in page
    assert "| Luigi | Luigi is not installed |" in page
    assert any("Biased in its favour" in line for line in page)


def test_cases_that_are_shown_together_are_rows_of_one_table():
    results = [
        _result(name="flows", title="a", together=True),
        _result(name="flows", title="b", together=True, runs={"ninja": THEIRS[:1]}, missing={"fastrun": "left out"}),
    ]
    page = report.results_page(_comparison(_result(), *results, _result(title="other work"))).splitlines()
    headings = [line for line in page if line.startswith("### ")]
    assert headings == ["### some work", "### flows", "### other work"]
    assert "| | ninja | fastrun |" in page
    assert "| a | 2.000 | 3.000 |" in page
    assert "| b | 1.000 | - |" in page
    assert "b: without fastrun: left out." in page
    assert report.result_lines(results[0]) == ["a: ninja 2.000; fastrun 3.000"]


def test_a_peak_below_the_measuring_process_is_not_told():
    lines = report.result_lines(_result(own_peak=60_000_000))
    assert "<60" in lines[0]
    assert "<60" not in lines[1]


def test_a_quick_run_is_not_judged():
    page = report.results_page(_comparison(_result(Target("fastrun", 1.0, "ninja")), quick=True))
    assert "| 1.50 |  | - |" in page
    assert "--quick" in page
    assert report.verdict_lines(_comparison(_result(Target("fastrun", 9.0, "ninja")), quick=True))[0].startswith("-")


def test_contenders_take_turns_and_one_that_fails_is_left_out(capsys):
    order = []

    def contender(name: str, *, fails: bool = False) -> Contender:
        def run() -> Measured:
            order.append(name)
            if fails:
                raise RuntimeError("no luck")
            return Measured(1.0, 1.0, 1, None, None)

        return Contender(name, run)

    contenders = [contender("a"), contender("b", fails=True), contender("fastrun")]
    result = run_case(Case("exec", "work", 1, 9, contenders, missing=[("c", "not installed")]), 2)
    assert order == ["a", "b", "fastrun", "a", "fastrun"]
    assert {name: len(runs) for name, runs in result.runs.items()} == {"a": 2, "fastrun": 2}
    assert result.missing == {"c": "not installed", "b": "failed: no luck"}
    assert "b failed: no luck" in capsys.readouterr().err


def test_cost_points_are_per_task_in_order_with_ours_last():
    results = [
        _result(runs={"fastrun": [Run(1.0, 0, 0)], "loop": [Run(0.5, 0, 0)]}, tasks=n, unit="snippet", plot="growth")
        for n in (1000, 10)
    ]
    points = plots.cost_points([*results, _result(unit="snippet")], "snippet")
    assert list(points) == ["loop", "fastrun"]
    assert [(count, round(cost.middle)) for count, cost in points["fastrun"]] == [(10, 100_000), (1000, 1000)]


@pytest.mark.parametrize(("shown", "drawn"), [([], set()), (["growth", "peers"], {"cost.svg", "peers.svg"})])
def test_plots_are_drawn_where_there_is_something_to_show(tmp_path, shown, drawn):
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    stored, folder = tmp_path / "data.json", tmp_path / "plots"
    stored.write_bytes(dump(_comparison(*(_result(plot=plot) for plot in shown))))
    # In another process: matplotlib keeps its fonts open.
    _compare("--from", str(stored), "--plots", str(folder))
    assert {path.name for path in folder.iterdir()} == drawn
    assert all(path.read_text().count("<svg") == 1 for path in folder.iterdir())


def test_without_matplotlib_the_plots_are_skipped_and_it_is_said(tmp_path):
    if find_spec("matplotlib") is not None:
        pytest.skip("matplotlib is installed")
    stored, folder = tmp_path / "data.json", tmp_path / "plots"
    stored.write_bytes(dump(_comparison(_result(plot="peers"))))
    assert "without plots: matplotlib is not installed" in _compare("--from", str(stored), "--plots", str(folder))
    assert not folder.exists()


def test_every_case_compares_fastrun_and_judges_who_takes_part(tmp_path):
    for name, make in CASES.items():
        folder = tmp_path / name
        folder.mkdir()
        for case in make(Setting(str(folder), QUICK)):
            assert case.name == name
            names = [contender.name for contender in case.contenders]
            assert names[-1].startswith("fastrun")
            known = {*names, *dict(case.missing), ""}
            assert all({target.contender, target.against} <= known for target in case.targets)


def test_a_peer_that_cannot_be_prepared_is_named_with_the_reason(tmp_path):
    # No document is there.
    contenders, missing = peer_contenders(str(tmp_path), ["xargs"], 2)
    assert contenders == []
    assert [name for name, _ in missing] == ["xargs -P"]
    assert "FileNotFoundError" in missing[0][1]


def test_the_command_measures_and_shows_again_what_it_measured(tmp_path):
    stored, page = tmp_path / "data.json", tmp_path / "page.md"
    measured = _compare("--quick", "--rounds", "2", "--json", str(stored), "--results", str(page), "one")
    first = page.read_text()
    shown = _compare("--from", str(stored), "--results", str(page))
    assert page.read_text() == first
    assert "fastrun <= 1.3 x import uvloop, orjson" in shown
    assert measured.endswith(shown)
    assert len(load(stored.read_bytes()).results[0].runs["fastrun"]) == 2


def _compare(*options: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "bench", "compare", *options]
    return subprocess.run(
        command, env=child_environment(), timeout=120, check=True, text=True, stdout=subprocess.PIPE
    ).stdout

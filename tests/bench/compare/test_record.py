"""Tests of ratios and verdicts, with sample figures."""

from __future__ import annotations

import pytest

from bench.compare.record import Run, Spread, Target, Verdict, dump, figures, load, spread, verdict
from tests.bench.compare.samples import THEIRS, comparison_of, result_of


def test_spread_is_the_median_between_least_and_most():
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_ratio_is_the_median_of_the_rounds():
    target = Target("fastrun", 2.0, "ninja")
    assert verdict(result_of(), target) == Verdict(target, Spread(2.0, 1.5, 2.5), 1.5, True)


def test_target_is_met_at_the_limit_and_missed_above():
    assert verdict(result_of(), Target("fastrun", 2.0, "ninja")).met is True
    assert verdict(result_of(), Target("fastrun", 1.99, "ninja")).met is False


def test_excess_judges_a_difference_and_most_the_figure_itself():
    excess = verdict(result_of(), Target("fastrun", 45e6, "ninja", "excess", "peak"))
    assert (excess.value, excess.met) == (Spread(50e6, 40e6, 50e6), False)
    most = verdict(result_of(), Target("fastrun", 3.0, kind="most"))
    assert (most.value, most.of_medians, most.met) == (Spread(3.0, 2.0, 10.0), 3.0, True)


def test_target_judges_the_figure_of_its_case_unless_it_names_another():
    runs = {"few": [Run(1.0, 0, 100, 0.5, 2.0)], "many": [Run(9.0, 0, 300, 0.5, 3.0)]}
    result = result_of(figure="marked", runs=runs)
    assert verdict(result, Target("many", 1.5, "few")).value == Spread(1.5, 1.5, 1.5)
    assert verdict(result, Target("many", 1.5, "few", figure="peak")).value == Spread(3.0, 3.0, 3.0)


def test_target_without_figures_is_not_judged():
    for target in (Target("fastrun", 1.0, "make"), Target("other", 1.0, "ninja"), Target("other", 1.0, kind="most")):
        assert verdict(result_of(), target) == Verdict(target, None, None, None)


def test_run_without_the_figure_is_an_error():
    assert figures(THEIRS[:1], "marked") == [0.5]
    with pytest.raises(ValueError, match="without marked"):
        figures(THEIRS, "marked")


def test_comparison_survives_json():
    comparison = comparison_of(result_of(Target("fastrun", 1.0, "ninja"), missing={"Luigi": "no"}, plot="peers"))
    assert load(dump(comparison)) == comparison

"""Tests of the plots of a comparison."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from bench.compare import plots
from bench.compare.record import Run, dump
from tests.bench.compare.samples import comparison_of, result_of, run_compare


def test_cost_points_are_per_task_in_rising_order_with_fastrun_last():
    results = [
        result_of(runs={"fastrun": [Run(1.0, 0, 0)], "loop": [Run(0.5, 0, 0)]}, tasks=n, unit="snippet", plot="growth")
        for n in (1000, 10)
    ]
    points = plots.cost_points([*results, result_of(unit="snippet")], "snippet")
    assert list(points) == ["loop", "fastrun"]
    assert [(count, round(cost.middle)) for count, cost in points["fastrun"]] == [(10, 100_000), (1000, 1000)]


@pytest.mark.parametrize(("shown", "drawn"), [([], set()), (["growth", "peers"], {"cost.svg", "peers.svg"})])
def test_only_plots_with_figures_are_drawn(tmp_path, shown, drawn):
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    stored, folder = tmp_path / "data.json", tmp_path / "plots"
    stored.write_bytes(dump(comparison_of(*(result_of(plot=plot) for plot in shown))))
    # In a separate process: matplotlib keeps its fonts open.
    run_compare("--from", str(stored), "--plots", str(folder))
    assert {path.name for path in folder.iterdir()} == drawn
    assert all(path.read_text().count("<svg") == 1 for path in folder.iterdir())


def test_plots_without_matplotlib_are_skipped_with_a_message(tmp_path):
    if find_spec("matplotlib") is not None:
        pytest.skip("matplotlib is installed")
    stored, folder = tmp_path / "data.json", tmp_path / "plots"
    stored.write_bytes(dump(comparison_of(result_of(plot="peers"))))
    assert "without plots: matplotlib is not installed" in run_compare("--from", str(stored), "--plots", str(folder))
    assert not folder.exists()

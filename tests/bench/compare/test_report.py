"""Tests of the page and the lines that show a comparison."""

from __future__ import annotations

from bench.compare import report
from bench.compare.record import Target
from tests.bench.compare.samples import THEIRS, comparison_of, result_of


def test_page_has_every_target_with_its_verdict():
    page = report.results_page(
        comparison_of(
            result_of(
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


def test_page_has_every_contender_and_the_ratio_of_the_last_to_it():
    page = report.results_page(comparison_of(result_of())).splitlines()
    assert "| ninja | 2.000 | 1.000-4.000 | 0.500 | 0.150 | 50 | 2.00 (1.50-2.50) |" in page
    assert "| fastrun | 3.000 | 2.000-10.000 | 1.000 | - | 100 |  |" in page
    assert "| Luigi | Luigi is not installed |" in page
    assert any("Biased in its favour" in line for line in page)


def test_cases_shown_together_are_rows_of_one_table():
    results = [
        result_of(name="flows", title="a", together=True),
        result_of(name="flows", title="b", together=True, runs={"ninja": THEIRS[:1]}, missing={"fastrun": "left out"}),
    ]
    page = report.results_page(comparison_of(result_of(), *results, result_of(title="other work"))).splitlines()
    headings = [line for line in page if line.startswith("### ")]
    assert headings == ["### some work", "### flows", "### other work"]
    assert "| | ninja | fastrun |" in page
    assert "| a | 2.000 | 3.000 |" in page
    assert "| b | 1.000 | - |" in page
    assert "b: without fastrun: left out." in page
    assert report.result_lines(results[0]) == ["a: ninja 2.000; fastrun 3.000"]


def test_peak_below_that_of_the_measuring_process_is_an_upper_bound():
    lines = report.result_lines(result_of(own_peak=60_000_000))
    assert "<60" in lines[0]
    assert "<60" not in lines[1]


def test_quick_run_is_not_judged():
    page = report.results_page(comparison_of(result_of(Target("fastrun", 1.0, "ninja")), quick=True))
    assert "| 1.50 |  | - |" in page
    assert "--quick" in page
    assert report.verdict_lines(comparison_of(result_of(Target("fastrun", 9.0, "ninja")), quick=True))[0].startswith(
        "-"
    )


def test_sections_written_by_hand_are_kept_when_the_page_is_made_anew():
    comparison = comparison_of(result_of())
    made = report.results_page(comparison)
    earlier = f"# Results of another day\n\n{report.BY_HAND}\n\n## What was tried\n\nMuch.\n"
    page = report.results_page(comparison, earlier)
    assert page == f"{made}\n{report.BY_HAND}\n\n## What was tried\n\nMuch.\n"
    assert report.results_page(comparison, page) == page
    assert report.results_page(comparison, "# Results of another day\n") == made

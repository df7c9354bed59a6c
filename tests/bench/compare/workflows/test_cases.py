"""Tests of the cases of workflows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.compare.case import run_case
from bench.compare.contenders import QUICK, Setting
from bench.compare.workflows.cases import LONGEST, SLOTS, workflow_cases
from bench.compare.workflows.schedules import BOUND, IN_ORDER, KNOWN, RANKED

if TYPE_CHECKING:
    from pathlib import Path
from tests.bench.compare.samples import CHAIN_LAST, workflow_of, write_workflow


def setting(folder: Path, workflows: Path, **sizes) -> Setting:
    return Setting(os.fspath(folder), QUICK._replace(makespan=0.05, **sizes), os.fspath(workflows))


@pytest.fixture
def two_workflows(tmp_path: Path) -> Path:
    folder = tmp_path / "workflows"
    folder.mkdir()
    for name, workflow in (("chain-last", CHAIN_LAST), ("one", workflow_of([1], [[]]))):
        tasks = [
            (name, seconds, [workflow.names[parent] for parent in parents])
            for name, seconds, parents in zip(workflow.names, workflow.seconds, workflow.parents, strict=True)
        ]
        write_workflow(folder, f"{name}.json", *tasks)
    return folder


def test_each_workflow_has_a_case_per_number_of_slots_and_the_mean_comes_last(tmp_path, two_workflows):
    *cases, mean = workflow_cases(setting(tmp_path, two_workflows))
    assert [case.title for case in cases] == [
        f"{title}, {slots}"
        for title in ("chain-last, 5 tasks", "one, 1 tasks")
        for slots in ("-j 4", "-j 16", "no bound")
    ]
    for case in cases:
        assert [contender.name for contender in case.contenders] == [BOUND, KNOWN, IN_ORDER, RANKED, "fastrun"]
        assert [target.against for target in case.targets] == ([] if case.title.endswith("no bound") else [KNOWN])
    assert [(target.contender, target.against) for target in mean.targets] == [(RANKED, IN_ORDER)]


def test_mean_covers_the_ratios_to_known_durations_on_bounded_slots(tmp_path, two_workflows):
    *results, mean = [run_case(case, 1) for case in workflow_cases(setting(tmp_path, two_workflows))]
    assert not any(result.missing for result in [*results, mean])
    ratios = []
    for result in results:
        took = {name: runs[0].seconds for name, runs in result.runs.items()}
        assert took[BOUND] == pytest.approx(0.05)
        # Its tasks slept, so the run cannot have been shorter.
        assert took["fastrun"] > took[BOUND]
        if "no bound" not in result.title:
            ratios.append(took["fastrun"] / took[KNOWN])
    assert len(ratios) == 4
    assert mean.runs["fastrun"][0].seconds == pytest.approx(sum(ratios) / 4)
    assert mean.runs[KNOWN][0].seconds == 1


def test_run_with_many_tasks_is_longer_and_with_very_many_left_out(tmp_path):
    folder = tmp_path / "workflows"
    folder.mkdir()
    most = SLOTS[4]
    write_workflow(folder, "a.json", *((f"x{number}", 1.0, []) for number in range(2 * most)))
    write_workflow(folder, "b.json", *((f"x{number}", 1.0, []) for number in range(int(LONGEST * most) + 1)))
    longer, *_, left_out, _, _, mean = workflow_cases(setting(tmp_path, folder))
    # No contender has run, so there is no mean.
    assert set(run_case(mean, 1).missing) == {BOUND, KNOWN, IN_ORDER, RANKED, "fastrun"}
    assert longer.contenders[0].run().seconds == pytest.approx(2 * 0.05)
    assert [contender.name for contender in left_out.contenders] == [BOUND, KNOWN, IN_ORDER, RANKED]
    assert [name for name, _ in left_out.missing] == ["fastrun"]

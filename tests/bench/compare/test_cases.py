"""Tests of the cases: contenders and targets."""

from __future__ import annotations

from bench.compare.cases import CASES
from bench.compare.contenders import QUICK, Setting


def test_every_case_measures_fastrun_and_judges_only_its_contenders(tmp_path):
    for name, make in CASES.items():
        folder = tmp_path / name
        folder.mkdir()
        for case in make(Setting(str(folder), QUICK)):
            assert case.name == name
            names = [contender.name for contender in case.contenders]
            assert names[-1].startswith("fastrun")
            known = {*names, *dict(case.missing), ""}
            assert all({target.contender, target.against} <= known for target in case.targets)

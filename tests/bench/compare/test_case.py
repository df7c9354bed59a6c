"""Tests of running a case, with contenders that are no processes."""

from __future__ import annotations

from bench.compare.case import Case, Contender, run_case
from bench.measure import Measured


def test_contenders_take_turns_and_a_failed_contender_is_left_out(capsys):
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

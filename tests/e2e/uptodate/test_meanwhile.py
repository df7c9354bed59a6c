"""A project that is edited at random while it is brought up to date."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable

import pytest

import fastrun
from tests.support import compiler
from tests.support.amounts import many
from tests.support.differential import Trial

SEEDS = many("projects that are edited while runs run", 2, 4)
ROUNDS = many("runs with random edits in the middle", 15, 60)

# Edits of what is read. What is made must be left alone: what is there at the end of a task is what it has made.
KINDS = {
    "touch": 1,
    "comment": 2,
    "code": 3,
    "header": 6,
    "include": 2,
    "version": 2,
    "go_back": 2,
    "undo": 12,
    "point_elsewhere": 3,
    "old_time": 3,
    "swap": 3,
    "clock": 3,
    "copy_over": 2,
}


def meddler(trial: Trial, moments: set[int]) -> Callable[[str], None]:
    """Return what edits the project when so many files have been read."""
    lock = threading.Lock()
    count = 0

    def meddle(path: str) -> None:
        nonlocal count
        with lock:
            count += 1
            if count in moments:
                trial.edit(KINDS)

    return meddle


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_changes_while_tasks_run_is_made_again(tmp_path, monkeypatch, seed):
    trial = Trial(tmp_path, monkeypatch, seed)
    for _ in range(ROUNDS):
        trial.edit(KINDS)
        trial.set_variables()
        moments = {trial.choose.randrange(80) for _ in range(trial.choose.randint(1, 6))}
        compiler.between.append(meddler(trial, moments))
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fastrun.run(trial.document, **trial.settings())
        finally:
            compiler.between.clear()
        assert all("changed while it ran; it runs again next time" in str(warning.message) for warning in caught)
        fastrun.run(trial.document, **trial.settings())
        trial.check_artefacts()

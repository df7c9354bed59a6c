"""A project that is edited at random, against a model and against builds from nothing."""

from __future__ import annotations

import shutil

import pytest

from tests.support.amounts import many
from tests.support.differential import Trial
from tests.support.edits import KINDS
from tests.support.project import call_real, command, real_command, snippet_in_process

SEEDS = many("projects that are edited at random", 1, 4)
EDITS = many("random edits of a project that is brought up to date", 3, 60)
COMMAND_EDITS = many("random edits of a project of commands", 4, 12)
REAL_EDITS = many("random edits of a project for a real compiler", 2, 15)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("update", [True, None], ids=["update", "update or resume"])
def test_what_runs_is_what_the_model_says(tmp_path, monkeypatch, seed, update):
    trial = Trial(tmp_path, monkeypatch, seed, update=update)
    trial.check()
    # Each kind at least once.
    for number, kind in enumerate([*trial.choose.sample([*KINDS], len(KINDS)), *[None] * EDITS]):
        trial.edit(KINDS if kind is None else {kind: 1})
        if number % 10 == 9:
            trial.die()
        trial.check()


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("form", [command, snippet_in_process])
def test_what_runs_of_commands_is_what_the_model_says(tmp_path, monkeypatch, seed, form):
    trial = Trial(tmp_path, monkeypatch, seed, form, update=None)
    trial.die()
    for _ in range(COMMAND_EDITS):
        trial.check()
        trial.edit()
        trial.die()
    trial.check()


@pytest.mark.skipif(shutil.which("cc") is None or shutil.which("ar") is None, reason="no C compiler is installed")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_runs_of_a_real_build_is_what_the_model_says(tmp_path, monkeypatch, seed):
    trial = Trial(tmp_path, monkeypatch, seed, real_command, act=call_real)
    # The real one has no such flag.
    trial.project.absolute = False
    trial.check()
    for _ in range(REAL_EDITS):
        trial.edit()
        trial.check()

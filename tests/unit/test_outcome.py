"""How a task ended, in words."""

from __future__ import annotations

import pytest

from fastrun import Status
from fastrun.outcome import exit_outcome


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, (Status.OK, "")),
        (1, (Status.FAILED, "exit status 1")),
        (-9, (Status.FAILED, "killed by SIGKILL")),
        (-35, (Status.FAILED, "killed by signal 35")),
        (None, (Status.FAILED, "exit status lost")),
    ],
)
def test_an_exit_code_says_how_a_task_ended(code, outcome):
    found = exit_outcome(code)
    assert (found.status, found.reason) == outcome

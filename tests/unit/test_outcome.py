"""How a task ended, in words."""

from __future__ import annotations

import pytest

from fastrun import Cause, Outcome, Status
from fastrun.outcome import exit_outcome


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        (0, (Status.OK,), ""),
        (1, (Status.FAILED, Cause.EXIT, 1), "exit status 1"),
        (-9, (Status.FAILED, Cause.SIGNAL, "SIGKILL"), "killed by SIGKILL"),
        (-35, (Status.FAILED, Cause.SIGNAL, "signal 35"), "killed by signal 35"),
        (None, (Status.FAILED, Cause.STATUS_LOST), "exit status lost"),
    ],
)
def test_an_exit_code_says_how_a_task_ended(code, outcome, reason):
    assert exit_outcome(code) == Outcome(*outcome)
    assert exit_outcome(code).reason == reason

"""The engines that start commands."""

from __future__ import annotations

import pytest

from fastrun.executors.commands.choice import NATIVE, PYTHON, VARIABLE
from tests.support.engines import HAS_NATIVE


@pytest.fixture(
    params=[
        pytest.param(NATIVE, marks=pytest.mark.skipif(not HAS_NATIVE, reason="the native engine is not built here")),
        PYTHON,
    ]
)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine of the fastrun processes that a test starts."""
    name: str = request.param
    monkeypatch.setenv(VARIABLE, name)
    return name

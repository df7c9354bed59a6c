"""The engines that start commands, and both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop


@pytest.fixture(params=["native", "python", "portable"])
def engine(request):
    return request.param


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_run(request):
    """``asyncio.run`` on either loop."""
    return uvloop.run if request.param == "uvloop" else asyncio.run

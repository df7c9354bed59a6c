"""Both ways to wait for processes, and both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop


@pytest.fixture(params=["epoll", "portable"])
def portable(request):
    return request.param == "portable"


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_run(request):
    """``asyncio.run`` on either loop."""
    return uvloop.run if request.param == "uvloop" else asyncio.run

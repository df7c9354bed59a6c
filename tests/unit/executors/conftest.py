"""The engines that start commands, and both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.support.engines import HAS_NATIVE


@pytest.fixture(params=["native", "python", "portable"])
def engine(request):
    if request.param == "native" and not HAS_NATIVE:
        pytest.skip("the native engine is not built here")
    return request.param


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_run(request):
    """``asyncio.run`` on either loop."""
    return uvloop.run if request.param == "uvloop" else asyncio.run

"""A jobserver of the test's own."""

from __future__ import annotations

import os

import pytest

from tests.support.jobs import Fifo


@pytest.fixture
def fifo(tmp_path):
    made = Fifo(tmp_path)
    yield made
    os.close(made.descriptor)

"""Numbers of tasks of the pytest cases, and shapes of their documents."""

import pytest

from bench import generators

# Numbers of tasks for cases in which only the interpreter works. ``conftest`` chooses by the marks.
SIZES = [
    1_000,
    pytest.param(30_000, marks=pytest.mark.small),
    pytest.param(100_000, marks=pytest.mark.large),
    pytest.param(1_000_000, marks=pytest.mark.large),
]

# All shapes but that with a failing gate.
SHAPES = [shape for shape in generators.SHAPES if shape != "gated"]

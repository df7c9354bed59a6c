"""Numbers of tasks of the pytest cases, and shapes of their documents."""

import pytest

from bench.generators import Document, Make, binary_tree, deep, diamond, layered, random_dag, wide

# Numbers of tasks for cases in which only the interpreter works. ``conftest`` chooses by the marks.
SIZES = [
    1_000,
    pytest.param(30_000, marks=pytest.mark.small),
    pytest.param(100_000, marks=pytest.mark.large),
    pytest.param(1_000_000, marks=pytest.mark.large),
]

SHAPES = ["wide", "deep", "layered", "diamond", "tree", "random"]


def shaped(shape: str, tasks: int, make: Make) -> Document:
    """Return a document of a shape. A task has three dependencies if the shape leaves that open."""
    match shape:
        case "wide":
            return wide(tasks, make)
        case "deep":
            return deep(tasks, make)
        case "layered":
            return layered(tasks, 1000, 3, make)
        case "diamond":
            return diamond(tasks, make)
        case "tree":
            return binary_tree(tasks, make)
        case _:
            return random_dag(tasks, 3, make)

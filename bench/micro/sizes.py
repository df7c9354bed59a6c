"""How many tasks the pytest cases have, and in which shapes."""

import pytest

from bench.generators import Document, Make, binary_tree, deep, diamond, layered, random_dag, wide

# Tasks, where nothing but the interpreter is at work. ``conftest`` says which run when.
SIZES = [
    1_000,
    pytest.param(30_000, marks=pytest.mark.small),
    pytest.param(100_000, marks=pytest.mark.large),
    pytest.param(1_000_000, marks=pytest.mark.large),
]

SHAPES = ["wide", "deep", "layered", "diamond", "tree", "random"]


def shaped(shape: str, tasks: int, make: Make) -> Document:
    """A document of one of the shapes; three dependencies per task where that is open."""
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

"""Validation: compiling the schema, the validator alone, and finding what is wrong."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastrun
from bench.generators import Document, random_dag, same_snippet
from bench.micro.sizes import SIZES
from bench.micro.timed import timed
from fastrun.collector import collector_off
from fastrun.document.check import compile_schema, load_schema
from fastrun.document.validator import validate

pytestmark = pytest.mark.benchmark(group="validation")


def _document(tasks: int) -> Document:
    return random_dag(tasks, 3, same_snippet)


def _refuse(document: Document) -> int:
    """Load a document with problems. Returns their number."""
    try:
        fastrun.load(document)
    except fastrun.SpecError as error:
        return len(error.lines) + error.more
    raise AssertionError("the document was accepted")


def test_compile_schema(benchmark: BenchmarkFixture) -> None:
    timed(benchmark, lambda: compile_schema(load_schema()))


@pytest.mark.parametrize("tasks", SIZES)
def test_validator(benchmark: BenchmarkFixture, tasks: int) -> None:
    items = _document(tasks)["tasks"]

    def validate_all() -> None:
        with collector_off():
            for item in items:
                validate(item)

    timed(benchmark, validate_all)


@pytest.mark.parametrize("tasks", SIZES)
def test_one_missing_key(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = _document(tasks)
    del document["tasks"][-1]["arguments"]
    assert timed(benchmark, _refuse, document) == 1


@pytest.mark.parametrize("tasks", [1_000, pytest.param(3_000, marks=pytest.mark.small)])
def test_misspelt_key_in_every_task(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = _document(tasks)
    for task in document["tasks"]:
        task["dependancies"] = []
    assert timed(benchmark, _refuse, document) == tasks


@pytest.mark.parametrize("tasks", SIZES)
def test_unknown_dependency(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = _document(tasks)
    document["tasks"][-1]["dependencies"] = ["taskk"]
    assert timed(benchmark, _refuse, document) == 1


@pytest.mark.parametrize("tasks", SIZES)
def test_cycle(benchmark: BenchmarkFixture, tasks: int) -> None:
    document = _document(tasks)
    document["tasks"][0]["dependencies"] = [document["tasks"][-1]["name"]]
    document["tasks"][-1]["dependencies"] = [document["tasks"][0]["name"]]
    assert timed(benchmark, _refuse, document) == 1

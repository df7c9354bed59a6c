"""Random documents, on this machine and on a cluster: the same statuses, reasons and output."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastrun as library
from tests.support.amounts import many
from tests.support.clusters import Placed, processes
from tests.support.model import check_order
from tests.support.strategies import documents

DOCUMENTS = many("random documents on a cluster", 25, 500)


@pytest.fixture(autouse=True)
def _nothing_left_over():
    """Not here: the scheduler and the workers are children for the whole module."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with processes(tmp_path_factory.mktemp("cluster"), "one", "two") as made:
        yield made.address


@settings(
    max_examples=DOCUMENTS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(documents(hangs=True), st.sampled_from([None, 1, 3]), st.data())
def test_a_cluster_gives_what_one_machine_gives(address, document, jobs, data):
    here = Placed()
    first = library.run(document, jobs=jobs, observers=[here])
    tasks = [
        {**task, "where": data.draw(st.sampled_from(["cluster", "cluster", "cluster", "local"]))}
        for task in document["tasks"]
    ]
    there = Placed()
    second = library.run({"tasks": tasks}, jobs=jobs, observers=[there], cluster=address)
    # Of several that failed any may be told as the root of a skip.
    told = [(result.name, result.status, result.status.label != "skipped" and result.reason) for result in second]
    assert told == [
        (result.name, result.status, result.status.label != "skipped" and result.reason) for result in first
    ]
    assert second.exit_code == first.exit_code
    assert {key: tidy(output) for key, output in there.output.items()} == {
        key: tidy(output) for key, output in here.output.items()
    }
    check_order(tasks, {result.name: result.status.label for result in second}, there)
    on_workers = {name for name, (worker,) in there.workers.items() if worker is not None}
    assert on_workers == {task["name"] for task in tasks if task["where"] == "cluster"} & set(there.workers)


def tidy(output: bytes) -> bytes:
    """Without the numbers of processes, which shells print of what was killed."""
    return re.sub(rb"\d+ Killed", b"N Killed", output)

"""A project that is edited at random and brought up to date on a cluster."""

from __future__ import annotations

import pytest

from tests.support.amounts import many
from tests.support.clusters import processes
from tests.support.differential import Trial
from tests.support.documents import write_json
from tests.support.processes import fastrun, report_of
from tests.support.project import command

EDITS = many("random edits of a project that a cluster builds", 6, 60)


@pytest.fixture(autouse=True)
def _nothing_left_over():
    """Not here: the scheduler and the workers are children for the whole module."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with processes(tmp_path_factory.mktemp("cluster"), "one", "two") as made:
        yield made.address


def test_what_runs_on_a_cluster_is_what_the_model_says(tmp_path, monkeypatch, address):
    trial = Trial(tmp_path, monkeypatch, 1, command, update=None, cluster=address)
    trial.check()
    for _ in range(EDITS):
        trial.edit()
        trial.check()


def test_nothing_runs_again_on_workers_of_a_run(tmp_path):
    (tmp_path / "a").write_text("1")
    task = {"name": "copy", "type": "exec", "arguments": "cp a b", "inputs": ["a"], "outputs": ["b"]}
    options = ("-u", "--cluster", "local:1", write_json(tmp_path, {"tasks": [{**task, "dependencies": []}]}))
    assert report_of(fastrun(*options, cwd=tmp_path).stdout)["copy"] == ("ok", "")
    assert (tmp_path / "b").read_text() == "1"
    assert report_of(fastrun(*options, cwd=tmp_path).stdout)["copy"] == ("ok", "up to date")
    (tmp_path / "a").write_text("2")
    assert report_of(fastrun(*options, cwd=tmp_path).stdout)["copy"] == ("ok", "")
    assert (tmp_path / "b").read_text() == "2"

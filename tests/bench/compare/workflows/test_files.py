"""Tests of reading workflows from a folder."""

from __future__ import annotations

import os

import pytest

from bench.compare.workflows.files import QUICK_TASKS, find_workflows, load_workflows, read_workflow
from bench.compare.workflows.look_alikes import look_alikes
from bench.compare.workflows.workflow import Workflow
from tests.bench.compare.samples import write_workflow


def test_folder_is_read_in_the_order_of_file_names(tmp_path):
    write_workflow(tmp_path, "b.json", ("x", 1.5, []), ("y", 2, ["x", "x"]))
    write_workflow(tmp_path, "a.json", ("y", 0, ["x"]), ("x", 3, []))
    (tmp_path / "notes.txt").write_text("not a workflow")
    assert load_workflows(os.fspath(tmp_path)) == [
        Workflow("a", ["y", "x"], [0.0, 3.0], [[1], []]),
        Workflow("b", ["x", "y"], [1.5, 2.0], [[], [0]]),
    ]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([("x", 1, ["z"])], "bad.json: unknown parent 'z'"),
        ([("x", 1, ["y"]), ("y", 1, ["x"])], "cycle"),
        ([("x", 0, [])], "bad.json: no task takes any time"),
        ([], "bad.json: no task takes any time"),
    ],
)
def test_invalid_workflow_file_is_an_error(tasks, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_workflow(write_workflow(tmp_path, "bad.json", *tasks))


def test_callers_folder_beats_the_environment_and_without_both_look_alikes_are_made(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        write_workflow(folder, f"{folder.name}.json", ("x", 1, []))
    monkeypatch.delenv("FASTRUN_WORKFLOWS", raising=False)
    assert find_workflows() == look_alikes()
    assert [found.title for found in find_workflows(os.fspath(one))] == ["one"]
    monkeypatch.setenv("FASTRUN_WORKFLOWS", os.fspath(other))
    assert [found.title for found in find_workflows()] == ["other"]
    assert [found.title for found in find_workflows(os.fspath(one))] == ["one"]


def test_folder_without_workflows_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="there is no workflow"):
        find_workflows(os.fspath(tmp_path))
    write_workflow(tmp_path, "large.json", *((f"x{number}", 1.0, []) for number in range(QUICK_TASKS + 1)))
    with pytest.raises(ValueError, match="there is no small workflow"):
        find_workflows(os.fspath(tmp_path), quick=True)


def test_quick_run_takes_only_small_workflows(tmp_path):
    write_workflow(tmp_path, "small.json", *((f"x{number}", 1.0, []) for number in range(QUICK_TASKS)))
    write_workflow(tmp_path, "large.json", *((f"x{number}", 1.0, []) for number in range(QUICK_TASKS + 1)))
    assert [found.title for found in find_workflows(os.fspath(tmp_path), quick=True)] == ["small"]
    assert all(len(found.names) <= QUICK_TASKS for found in look_alikes(quick=True))

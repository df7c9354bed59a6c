"""Tests of the document of a workflow."""

from __future__ import annotations

from hypothesis import given

import fastrun
from bench.compare.workflows.workflow import document
from tests.bench.compare.samples import workflow_of
from tests.bench.compare.workflows.strategies import some_workflows


@given(some_workflows())
def test_document_keeps_names_parents_and_durations(workflow):
    tasks = fastrun.load(document(workflow))
    assert [task.name for task in tasks] == workflow.names
    assert [[workflow.names.index(name) for name in task.dependencies] for task in tasks] == workflow.parents
    assert {task.type for task in tasks} <= {"exec"}
    for task, seconds in zip(tasks, workflow.seconds, strict=True):
        if seconds:
            command, duration = task.text.split()
            assert (command, float(duration)) == ("sleep", seconds)
        else:
            assert task.arguments == "true"


def test_document_sleeps_to_the_microsecond_and_leaves_out_very_short_sleeps():
    workflow = workflow_of([0.0123456, 0.00005, 1e-9, 1234567.0], [[], [], [], []])
    assert [task["arguments"] for task in document(workflow)["tasks"]] == [
        "sleep 0.012346",
        "true",
        "true",
        "sleep 1234567.000000",
    ]

"""Which tasks are processes of their own."""

from __future__ import annotations

import pytest

from fastrun.document.parse import read
from fastrun.document.task import Task
from fastrun.plan.graph import build
from fastrun.plan.lanes import lanes_of, runs_in_process
from fastrun.settings import DEFAULTS
from tests.support.documents import document, eval_, exec_

IN_PROCESSES = DEFAULTS._replace(eval_where="process")
ON_A_CLUSTER = DEFAULTS._replace(cluster="local")
IN_PROCESSES_BESIDE_A_CLUSTER = IN_PROCESSES._replace(cluster="local")


@pytest.mark.parametrize("where", [None, "cluster", "local"])
@pytest.mark.parametrize("settings", [DEFAULTS, IN_PROCESSES, IN_PROCESSES_BESIDE_A_CLUSTER])
def test_every_command_is_a_process(where, settings):
    assert runs_in_process(Task("a", "exec", "true", where=where), settings)


@pytest.mark.parametrize(
    ("where", "by_default", "with_the_setting", "with_it_on_a_cluster"),
    [
        (None, False, True, True),
        ("local", False, True, True),
        ("cluster", False, True, False),
        ("process", True, True, True),
        ("thread", False, False, False),
    ],
)
def test_a_snippet_is_a_process_if_it_says_so_or_says_nothing_else(
    where, by_default, with_the_setting, with_it_on_a_cluster
):
    task = Task("a", "eval", "pass", where=where)
    assert runs_in_process(task, DEFAULTS) is by_default
    assert runs_in_process(task, ON_A_CLUSTER) is by_default
    assert runs_in_process(task, IN_PROCESSES) is with_the_setting
    assert runs_in_process(task, IN_PROCESSES_BESIDE_A_CLUSTER) is with_it_on_a_cluster


def test_lanes_are_asked_for_only_where_the_type_does_not_say_them():
    plain = build(read(document(exec_("a", "true"), eval_("b", "pass", where="local")), "d"))
    assert lanes_of(plain, DEFAULTS) is None
    mixed = build(read(document(exec_("a", "true"), eval_("b", "pass", where="process"), eval_("c", "pass")), "d"))
    for graph, settings, lanes in (
        (plain, IN_PROCESSES, ["exec", "exec"]),
        (mixed, DEFAULTS, ["exec", "exec", "eval"]),
        (mixed, IN_PROCESSES, ["exec"] * 3),
    ):
        lane_of = lanes_of(graph, settings)
        assert lane_of is not None
        assert [lane_of(task) for task in graph.tasks] == lanes

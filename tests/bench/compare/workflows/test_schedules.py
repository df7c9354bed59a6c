"""Tests of the bounds and schedules of a workflow."""

from __future__ import annotations

from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.workflows.look_alikes import variants_like
from bench.compare.workflows.schedules import (
    BOUND,
    IN_ORDER,
    KNOWN,
    RANKED,
    critical_path,
    list_schedule,
    lower_bound,
    ranks,
    remaining_paths,
    scaled,
    schedules,
)
from tests.bench.compare.samples import CHAIN_LAST, workflow_of
from tests.bench.compare.workflows.strategies import some_priorities, some_slots, some_workflows


def test_critical_path_is_the_longest_by_time():
    assert critical_path(CHAIN_LAST) == 6
    # a 1 -> b 5 -> d 1 and a -> c 2 -> d.
    assert critical_path(workflow_of([1, 5, 2, 1], [[], [0], [0], [1, 2]])) == 7
    assert critical_path(workflow_of([], [])) == 0


def test_remaining_path_includes_the_task_itself():
    assert remaining_paths(CHAIN_LAST, CHAIN_LAST.seconds) == [2, 2, 2, 6, 3]
    assert remaining_paths(CHAIN_LAST, [1] * 5) == [1, 1, 1, 2, 1]


def test_parents_may_come_after_their_children():
    assert remaining_paths(workflow_of([1, 2, 4], [[2], [0], []]), [1, 2, 4]) == [3, 2, 7]


def test_cycle_is_an_error():
    with pytest.raises(CycleError):
        critical_path(workflow_of([1, 1], [[1], [0]]))


def test_lower_bound_is_the_work_per_slot_or_the_critical_path():
    assert lower_bound(CHAIN_LAST, 1) == 12
    assert lower_bound(CHAIN_LAST, 2) == 6
    assert lower_bound(CHAIN_LAST, 4) == 6
    assert lower_bound(CHAIN_LAST, None) == 6


def test_list_schedule_prefers_high_priority_then_early_position():
    # In the file's order: 0 and 1 until 2; 2 until 4 and 3 until 5; 4 until 8.
    assert list_schedule(CHAIN_LAST, 2, [0] * 5) == 8
    # By critical path: 3 until 3, 4 until 6; beside them 0, 1 and 2 until 6.
    assert list_schedule(CHAIN_LAST, 2, remaining_paths(CHAIN_LAST, CHAIN_LAST.seconds)) == 6
    # The chain's first task has the lowest priority: 0 and 1 until 2; 2 until 4 and 3, on the free slot, until 5.
    assert list_schedule(CHAIN_LAST, 2, [0, 0, 0, -1, 0]) == 8


def test_list_schedule_ends_all_tasks_of_a_moment_before_it_starts_any():
    # 0 and 1 end at 1. Then 3 and 4 become ready, and both start before 2, which was ready from the beginning.
    workflow = workflow_of([1, 1, 10, 5, 5], [[], [], [], [1], [1]])
    assert list_schedule(workflow, 2, [1, 1, 0, 9, 9]) == 16


def test_tasks_without_duration_add_no_time():
    assert list_schedule(workflow_of([0, 0, 3, 0], [[], [0], [1], [2]]), 1, [0] * 4) == 3


@given(st.data(), some_workflows(), some_slots)
def test_list_schedule_is_between_lower_bound_and_grahams_bound(data, workflow, slots):
    makespan = list_schedule(workflow, slots, data.draw(some_priorities(workflow)))
    work, longest = sum(workflow.seconds), critical_path(workflow)
    assert lower_bound(workflow, slots) <= makespan <= work
    # Graham, "Bounds on multiprocessing timing anomalies", 1969. Thirds and sevenths are rounded, hence 1e-9.
    assert makespan <= work / slots + (1 - 1 / slots) * longest + 1e-9


@given(st.data(), some_workflows())
def test_list_schedule_takes_the_work_on_one_slot_and_the_critical_path_on_unlimited_slots(data, workflow):
    priorities = data.draw(some_priorities(workflow))
    assert list_schedule(workflow, 1, priorities) == sum(workflow.seconds)
    assert list_schedule(workflow, None, priorities) == critical_path(workflow) == lower_bound(workflow, None)


@given(some_workflows().filter(critical_path), st.none() | some_slots)
def test_scaling_sets_the_lower_bound_and_keeps_proportions(workflow, slots):
    short = scaled(workflow, slots, 0.5)
    assert lower_bound(short, slots) == pytest.approx(0.5)
    assert (short.names, short.parents) == (workflow.names, workflow.parents)
    factor = sum(short.seconds) / sum(workflow.seconds)
    assert short.seconds == pytest.approx([duration * factor for duration in workflow.seconds])


def test_fastruns_order_weighs_a_task_by_its_dependencies():
    # At 2 the tasks 4, 5 and 6 become ready. The last has four dependencies and is long: fastrun starts it first, the
    # order of the file last.
    workflow = workflow_of([1, 1, 1, 1, 4, 4, 8], [[], [], [], [], [3], [3], [0, 1, 2, 3]])
    assert ranks(workflow) == [2, 2, 2, 2, 2, 2, 3]
    assert schedules(workflow, 2) == {BOUND: 10.0, KNOWN: 10.0, IN_ORDER: 14.0, RANKED: 10.0}


def test_fastruns_order_starts_the_long_merge_of_variants_early():
    workflow = variants_like(16)
    merge = next(task for task, name in enumerate(workflow.names) if name.startswith("merge"))
    select = next(task for task, name in enumerate(workflow.names) if name.startswith("select"))
    hops = remaining_paths(workflow, [1.0] * len(workflow.names))
    weighed = remaining_paths(workflow, ranks(workflow))
    assert hops[merge] < hops[select]
    assert weighed[merge] > weighed[select]
    found = schedules(workflow, 4)
    assert found[RANKED] <= list_schedule(workflow, 4, hops)


@given(some_workflows(), st.none() | some_slots)
def test_no_schedule_is_below_the_lower_bound(workflow, slots):
    found = schedules(workflow, slots)
    assert min(found.values()) == found[BOUND]

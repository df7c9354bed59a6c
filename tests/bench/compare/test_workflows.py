"""The workflows that the benchmarks run and what is computed of them. No figures here."""

from __future__ import annotations

import os
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrun
from bench.compare.workflows import (
    BOUND,
    IN_ORDER,
    KNOWN,
    QUICK_TASKS,
    RANKED,
    Workflow,
    blast_like,
    critical_path,
    document,
    epigenomics_like,
    find_workflows,
    list_schedule,
    load_workflows,
    look_alikes,
    lower_bound,
    montage_like,
    ranks,
    read_workflow,
    remaining_paths,
    scaled,
    schedules,
    variants_like,
)
from tests.bench.compare.samples import CHAIN_LAST, workflow_of, write_workflow
from tests.support.strategies import graphs

SHAPES = [montage_like, epigenomics_like, blast_like, variants_like]


@st.composite
def some_workflows(draw: st.DrawFn) -> Workflow:
    """Whole seconds, so that sums are the same in whatever order they are made."""
    parents = draw(graphs())
    count = len(parents)
    seconds = draw(st.lists(st.integers(0, 20).map(float), min_size=count, max_size=count))
    return workflow_of(seconds, parents)


some_slots = st.integers(1, 8)


def some_priorities(workflow: Workflow) -> st.SearchStrategy[list[float]]:
    count = len(workflow.names)
    return st.lists(st.integers(-3, 3).map(float), min_size=count, max_size=count)


def test_the_critical_path_is_the_longest_by_time():
    assert critical_path(CHAIN_LAST) == 6
    # a 1 -> b 5 -> d 1 and a -> c 2 -> d.
    assert critical_path(workflow_of([1, 5, 2, 1], [[], [0], [0], [1, 2]])) == 7
    assert critical_path(workflow_of([], [])) == 0


def test_remaining_paths_count_a_task_itself_and_the_longest_behind_it():
    assert remaining_paths(CHAIN_LAST, CHAIN_LAST.seconds) == [2, 2, 2, 6, 3]
    assert remaining_paths(CHAIN_LAST, [1] * 5) == [1, 1, 1, 2, 1]


def test_remaining_paths_do_not_need_parents_to_come_first():
    assert remaining_paths(workflow_of([1, 2, 4], [[2], [0], []]), [1, 2, 4]) == [3, 2, 7]


def test_a_cycle_is_an_error():
    with pytest.raises(CycleError):
        critical_path(workflow_of([1, 1], [[1], [0]]))


def test_the_lower_bound_is_the_work_of_a_slot_or_the_critical_path():
    assert lower_bound(CHAIN_LAST, 1) == 12
    assert lower_bound(CHAIN_LAST, 2) == 6
    assert lower_bound(CHAIN_LAST, 4) == 6
    assert lower_bound(CHAIN_LAST, None) == 6


def test_a_list_schedule_takes_the_highest_priority_and_then_the_first_of_the_file():
    # In the file's order: 0 and 1 until 2; 2 until 4 and 3 until 5; 4 until 8.
    assert list_schedule(CHAIN_LAST, 2, [0] * 5) == 8
    # By critical path: 3 until 3, 4 until 6; beside them 0, 1 and 2 until 6.
    assert list_schedule(CHAIN_LAST, 2, remaining_paths(CHAIN_LAST, CHAIN_LAST.seconds)) == 6
    # The chain's first task last of all: 0 and 1 until 2; 2 until 4 and 3, for which a slot is free, until 5.
    assert list_schedule(CHAIN_LAST, 2, [0, 0, 0, -1, 0]) == 8


def test_a_list_schedule_starts_nothing_before_all_of_a_moment_have_ended():
    # 0 and 1 end at 1. Both 3 and 4, ready only when 1 has ended, start before 2, which was ready all along.
    workflow = workflow_of([1, 1, 10, 5, 5], [[], [], [], [1], [1]])
    assert list_schedule(workflow, 2, [1, 1, 0, 9, 9]) == 16


def test_tasks_that_take_no_time_take_none():
    assert list_schedule(workflow_of([0, 0, 3, 0], [[], [0], [1], [2]]), 1, [0] * 4) == 3


@given(st.data(), some_workflows(), some_slots)
def test_a_list_schedule_lies_between_the_lower_bound_and_what_graham_proved(data, workflow, slots):
    makespan = list_schedule(workflow, slots, data.draw(some_priorities(workflow)))
    work, longest = sum(workflow.seconds), critical_path(workflow)
    assert lower_bound(workflow, slots) <= makespan <= work
    # Graham, "Bounds on multiprocessing timing anomalies", 1969. Thirds and sevenths round.
    assert makespan <= work / slots + (1 - 1 / slots) * longest + 1e-9


@given(st.data(), some_workflows())
def test_a_list_schedule_on_one_slot_is_the_work_and_on_any_number_the_critical_path(data, workflow):
    priorities = data.draw(some_priorities(workflow))
    assert list_schedule(workflow, 1, priorities) == sum(workflow.seconds)
    assert list_schedule(workflow, None, priorities) == critical_path(workflow) == lower_bound(workflow, None)


@given(some_workflows().filter(critical_path), st.none() | some_slots)
def test_scaling_gives_the_lower_bound_asked_for_and_keeps_the_rest(workflow, slots):
    short = scaled(workflow, slots, 0.5)
    assert lower_bound(short, slots) == pytest.approx(0.5)
    assert (short.names, short.parents) == (workflow.names, workflow.parents)
    factor = sum(short.seconds) / sum(workflow.seconds)
    assert short.seconds == pytest.approx([duration * factor for duration in workflow.seconds])


@given(some_workflows())
def test_the_document_keeps_names_parents_and_durations(workflow):
    tasks = fastrun.load(document(workflow))
    assert [task.name for task in tasks] == workflow.names
    assert [[workflow.names.index(name) for name in task.dependencies] for task in tasks] == workflow.parents
    assert {task.type for task in tasks} <= {"exec"}
    for task, seconds in zip(tasks, workflow.seconds, strict=True):
        if seconds:
            command, duration = task.arguments.split()
            assert (command, float(duration)) == ("sleep", seconds)
        else:
            assert task.arguments == "true"


def test_the_document_sleeps_to_the_microsecond_and_not_where_it_says_nothing():
    workflow = workflow_of([0.0123456, 0.00005, 1e-9, 1234567.0], [[], [], [], []])
    assert [task["arguments"] for task in document(workflow)["tasks"]] == [
        "sleep 0.012346",
        "true",
        "true",
        "sleep 1234567.000000",
    ]


def test_a_folder_is_read_in_the_order_of_its_file_names(tmp_path):
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
def test_a_file_that_is_no_workflow_is_an_error(tasks, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_workflow(write_workflow(tmp_path, "bad.json", *tasks))


def test_the_folder_comes_from_the_caller_or_the_environment_or_look_alikes_are_made(tmp_path, monkeypatch):
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


def test_a_folder_without_a_workflow_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no workflow is there"):
        find_workflows(os.fspath(tmp_path))
    write_workflow(tmp_path, "large.json", *((f"x{number}", 1.0, []) for number in range(QUICK_TASKS + 1)))
    with pytest.raises(ValueError, match="no small workflow is there"):
        find_workflows(os.fspath(tmp_path), quick=True)


def test_a_quick_run_takes_only_small_workflows(tmp_path):
    write_workflow(tmp_path, "small.json", *((f"x{number}", 1.0, []) for number in range(QUICK_TASKS)))
    write_workflow(tmp_path, "large.json", *((f"x{number}", 1.0, []) for number in range(QUICK_TASKS + 1)))
    assert [found.title for found in find_workflows(os.fspath(tmp_path), quick=True)] == ["small"]
    assert all(len(found.names) <= QUICK_TASKS for found in look_alikes(quick=True))


@pytest.mark.parametrize("make", SHAPES)
@pytest.mark.parametrize("width", [1, 2, 7])
def test_a_look_alike_is_the_same_for_the_same_seed_and_has_no_cycle(make, width):
    workflow = make(width, seed=3)
    assert workflow == make(width, seed=3)
    assert workflow != make(width, seed=4)
    assert workflow.parents == make(width, seed=4).parents
    assert "look-alike" in workflow.title
    assert len(workflow.names) == len(set(workflow.names)) == len(workflow.seconds) == len(workflow.parents)
    assert all(parent < task for task, parents in enumerate(workflow.parents) for parent in parents)
    assert len(fastrun.load(document(workflow))) == len(workflow.names)


def test_look_alikes_have_heavy_tails():
    found = sorted(blast_like(400).seconds)
    assert found[-1] > 5 * found[200]


def test_fastruns_order_takes_a_task_that_waits_for_many_for_a_long_one():
    # Both 4 and 5 end their paths and are ready when 0 to 3 have ended; 5, which has four dependencies, weighs more.
    workflow = workflow_of([1, 1, 1, 1, 4, 8], [[], [], [], [], [0], [0, 1, 2, 3]])
    found = schedules(workflow, 1)
    assert list(found) == [BOUND, KNOWN, IN_ORDER, RANKED]
    assert set(found.values()) == {16.0}
    # On two slots 4 is ready first, at 1, and nothing keeps it from the slot; all agree.
    assert schedules(workflow, 2) == {BOUND: 9.0, KNOWN: 10.0, IN_ORDER: 10.0, RANKED: 10.0}


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
def test_no_schedule_is_below_the_bound(workflow, slots):
    found = schedules(workflow, slots)
    assert min(found.values()) == found[BOUND]

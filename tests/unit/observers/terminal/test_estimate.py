"""How long the rest will take: said where it means something."""

from __future__ import annotations

import pytest

from fastrun import Task
from fastrun.observers.terminal.estimate import Estimate, in_words


def task(name: str, *dependencies: str) -> Task:
    return Task(name, "exec", "", dependencies)


def run_all(estimate: Estimate, numbers: range, began: float, ended: float) -> None:
    for number in numbers:
        estimate.started(number, began)
    for number in numbers:
        estimate.ended(number)
    assert ended >= began


NAMES = [f"t{number}" for number in range(100)]
TASKS = [task(name) for name in NAMES]


def test_without_durations_the_share_that_is_done_says_it():
    estimate = Estimate(TASKS)
    run_all(estimate, range(25), 0, 10)
    assert estimate.left(10.0) == 30.0


@pytest.mark.parametrize(("ended", "seconds"), [(0, 100.0), (9, 100.0), (25, 2.0)])
def test_too_little_says_nothing(ended, seconds):
    estimate = Estimate(TASKS)
    run_all(estimate, range(ended), 0, seconds)
    assert estimate.left(seconds) is None


def test_a_small_share_of_many_says_nothing():
    tasks = [task(str(number)) for number in range(1_000)]
    estimate = Estimate(tasks)
    run_all(estimate, range(49), 0, 10)
    assert estimate.left(10.0) is None
    estimate.started(49, 10)
    estimate.ended(49)
    assert estimate.left(10.0) == 190.0


def test_skipped_and_reused_tasks_took_no_time():
    estimate = Estimate(TASKS)
    for number in range(50):
        estimate.ended(number)
    run_all(estimate, range(50, 75), 0, 10)
    assert estimate.left(10.0) == 10.0


def test_nothing_is_left_at_the_end():
    estimate = Estimate(TASKS)
    run_all(estimate, range(100), 0, 10)
    assert estimate.left(10.0) is None


def test_the_longest_path_that_is_left_says_it_where_durations_are_known():
    tasks = [task("a"), task("b", "a"), task("c", "b", "b"), task("d", "a")]
    estimate = Estimate(tasks, {"a": 2.0, "b": 3.0, "c": 4.0, "d": 1.0, "of another run": 9.0})
    assert estimate.left(0.0) == 9.0
    estimate.started(0, 0.0)
    assert estimate.left(0.5) == 8.5
    # Later than it was expected: what comes behind it still is to come.
    assert estimate.left(7.0) == 7.0
    estimate.ended(0)
    estimate.started(1, 7.0)
    estimate.started(3, 7.0)
    assert estimate.left(8.0) == 6.0
    estimate.ended(1)
    assert estimate.left(8.0) == 4.0


def test_work_for_which_there_are_too_few_slots_takes_longer_than_the_path():
    estimate = Estimate(TASKS[:10], dict.fromkeys(NAMES, 4.0), slots=2)
    run_all(estimate, range(2), 0.0, 4.0)
    estimate.started(2, 4.0)
    estimate.started(3, 4.0)
    assert estimate.left(5.0) == (8 * 4.0 - 2) / 2
    # One that takes longer than it should does no work of others.
    assert estimate.left(50.0) == 6 * 4.0 / 2


def test_a_task_that_is_not_known_counts_as_the_mean_and_too_few_known_ones_as_none():
    tasks = [task("a"), task("b", "a"), task("c", "b")]
    assert Estimate(tasks, {"a": 2.0, "b": 3.0}).left(0.0) == 7.5
    assert Estimate(tasks, {"a": 2.0}).left(0.0) is None
    assert Estimate(tasks, {}).left(0.0) is None


def test_a_further_attempt_is_to_come_again():
    tasks = [task("a"), task("b", "a")]
    estimate = Estimate(tasks, {"a": 2.0, "b": 3.0})
    estimate.started(0, 0.0)
    estimate.ended(0, again=True)
    assert estimate.left(2.0) == 5.0
    estimate.started(0, 4.0)
    assert estimate.left(5.0) == 4.0


def test_of_very_many_tasks_the_work_alone_says_it(monkeypatch):
    monkeypatch.setattr("fastrun.observers.terminal.estimate._PATHS_AT_MOST", 2)
    tasks = [task("a"), task("b", "a"), task("c", "b")]
    estimate = Estimate(tasks, dict.fromkeys("abc", 2.0), slots=1)
    estimate.started(0, 0.0)
    assert estimate.left(1.0) == 5.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (1.9, ""),
        (2.0, "about 5 s left"),
        (13.0, "about 15 s left"),
        (56.9, "about 55 s left"),
        (57.0, "about 1 min left"),
        (121.0, "about 2 min left"),
        (5_399.0, "about 90 min left"),
        (5_401.0, "about 2 h left"),
    ],
)
def test_seconds_in_words(seconds, words):
    assert in_words(seconds) == words

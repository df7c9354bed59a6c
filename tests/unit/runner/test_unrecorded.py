"""Ends of tasks that wait until they are recorded."""

from __future__ import annotations

from fastrun import Outcome, Status
from fastrun.outcome import OK
from fastrun.runner.unrecorded import Unrecorded

FAILED = Outcome(Status.FAILED)


def test_ends_are_taken_in_order_up_to_the_last_record():
    unrecorded = Unrecorded(bytes(3), 1)
    for number in (2, 0, 1):
        unrecorded.add(number, 10 + number if number else 13, OK)
    assert list(unrecorded.take(11)) == []
    assert list(unrecorded.take(12)) == [(2, OK)]
    assert list(unrecorded.take(13)) == [(0, OK), (1, OK)]
    assert unrecorded.ends == {}


def test_lanes_and_failures_are_counted_until_the_end_is_taken():
    unrecorded = Unrecorded(bytes([0, 1, 1]), 2)
    for number, outcome in enumerate((OK, FAILED, OK)):
        unrecorded.add(number, number, outcome)
    assert (unrecorded.in_lane, unrecorded.failures) == ([1, 2], 1)
    taken = unrecorded.take(1)
    assert next(taken) == (0, OK)
    assert (unrecorded.in_lane, unrecorded.failures) == ([0, 2], 1)
    assert next(taken) == (1, FAILED)
    assert (unrecorded.in_lane, unrecorded.failures) == ([0, 1], 0)


def test_an_end_that_is_added_meanwhile_is_taken_too():
    unrecorded = Unrecorded(bytes(2), 1)
    unrecorded.add(0, 0, OK)
    taken = unrecorded.take(9)
    assert next(taken) == (0, OK)
    unrecorded.add(1, 1, FAILED)
    assert list(taken) == [(1, FAILED)]

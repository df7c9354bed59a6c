"""Which commands may start for their memory: tables, and random commands on a machine that is only counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.task import Task
from fastrun.executors.gates.memory import (
    ASSUMED,
    Ledger,
    Sizes,
    Waiting,
    fallen,
    fits_in_any_case,
    kinds_of,
    slots_for,
    with_margin,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

M = 1 << 20


def command(arguments: Any, type_: str = "exec", **more: Any) -> Task:
    return Task("a", type_, arguments, **more)


# What commands are expected to take


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        (command("gzip a.log"), ("gzip a.log", "gzip")),
        (command("python3 train.py --fold 3"), ("python3 train.py", "python3")),
        (command(("python3", "train.py", "3")), ("python3 train.py", "python3")),
        (command("true"), ("true",)),
        (command(("true",)), ("true",)),
        (command("A=1 B=2 make all"), ("make all", "make")),
        (command("A=1"), ("A=1",)),
        (command(("A=1", "x")), ("A=1 x", "A=1")),
        (command("  \n"), ()),
        (command("x" * 1000), ("x" * 256,)),
        (command("print(1)", "eval"), ("eval",)),
        (command("", "eval", script="s.py"), ("eval s.py", "eval")),
    ],
)
def test_commands_of_one_kind_differ_in_their_arguments_only(task, kinds):
    assert kinds_of(task) == kinds


def test_an_estimate_rises_at_once_and_falls_slowly():
    assert fallen(100, 700) == 700
    assert fallen(160, 0) == 150
    assert fallen(256 * M, 64 * M, 24) < 105 * M
    assert fallen(256 * M, 64 * M, 0) == 256 * M
    assert fallen(256 * M, 64 * M, 10_000) == 64 * M


def test_what_is_known_of_a_command_comes_before_its_kind_and_that_before_the_assumption():
    sizes = Sizes({0: 7})
    other = command("python3 b.py")
    assert sizes.of(0, other) == (7, True)
    assert sizes.of(1, other) == (ASSUMED, False)
    for _ in range(100):
        sizes.took(command("python3 a.py"), 32 * M)
    # The program is known, the script is not: the same as for the other script.
    for script in ("a.py", "b.py"):
        size, sure = sizes.of(1, command(f"python3 {script}"))
        assert (sure, 34 * M <= size < 37 * M) == (True, True)
    sizes.took(command("python3 b.py"), 512 * M)
    assert sizes.of(1, other) == (with_margin(512 * M), True)
    assert sizes.of(1, command("python3 a.py"))[0] < 37 * M
    assert sizes.assumed == with_margin(512 * M)


def test_the_first_command_of_a_kind_that_ends_may_be_a_small_one():
    sizes = Sizes({})
    sizes.took(command("run 1"), 0)
    first = sizes.of(1, command("run 2"))[0]
    sizes.took(command("run 3"), 0)
    second = sizes.of(1, command("run 2"))[0]
    assert (first, second) == (ASSUMED // 2, ASSUMED // 3)
    sizes.takes(command("run 4"), 512 * M)
    assert sizes.of(1, command("run 2"))[0] == with_margin(512 * M)


def test_small_commands_have_the_assumption_fall_to_what_is_known_of_them():
    sizes = Sizes({})
    sizes.were_small(10_000, 60 * M)
    assert sizes.assumed == 60 * M
    # A large fastrun tells nothing of its commands.
    sizes.were_small(10_000, 900 * M)
    assert sizes.assumed == 60 * M


def test_a_command_that_was_killed_needs_more_than_it_had_and_no_less_than_others():
    sizes = Sizes({0: 900 * M})
    task = command("run 1")
    sizes.was_killed(0, task, 200 * M)
    sizes.was_killed(1, task, 200 * M)
    assert (sizes.of(0, task), sizes.of(1, task)) == ((900 * M, True), (300 * M, True))
    sizes.took(command("run 2"), 800 * M)
    sizes.was_killed(2, task, 200 * M)
    assert sizes.of(2, task)[0] == with_margin(800 * M)


def test_the_number_of_kinds_is_bounded():
    sizes = Sizes({})
    for number in range(10_000):
        sizes.took(command(f"run{number}"), M)
    assert sizes.of(1, command("run0"))[1]
    assert not sizes.of(1, command("run9999"))[1]


@pytest.mark.parametrize(
    ("room", "size", "slots"), [(1500, 256, 5), (100, 256, 1), (0, 256, 1), (100, 0, 100), (512, 256, 2)]
)
def test_slots_are_counted_by_size_and_one_command_may_always_run(room, size, slots):
    assert slots_for(room, size) == slots


@pytest.mark.parametrize(
    ("known", "unknown", "jobs", "room", "fits"),
    [
        ([], 100, 16, 16 * ASSUMED, True),
        ([], 100, 17, 16 * ASSUMED, False),
        ([], 10, 1000, 10 * ASSUMED, True),
        ([100, 1], 0, 9, 101, True),
        ([100, 1], 0, 9, 100, False),
        ([100, 1], 0, 1, 100, True),
        ([100], 1, 1, ASSUMED - 1, False),
    ],
)
def test_commands_fit_in_any_case_if_the_largest_do_or_all_together(known, unknown, jobs, room, fits):
    assert fits_in_any_case(known, unknown, jobs, room) is fits


# What there is


def taken(ledger: Ledger, number: int, need: int, running: Sequence[int], *, sure: bool = True) -> bool:
    ledger.keep(running)
    return ledger.take(number, need, busy=bool(running), sure=sure)


def test_commands_start_while_they_fit():
    ledger = Ledger(10)
    assert taken(ledger, 0, 6, [])
    assert not taken(ledger, 1, 5, [0])
    assert taken(ledger, 1, 4, [0])
    assert not taken(ledger, 2, 1, [0, 1])
    # Those that do not run any more count no more.
    assert taken(ledger, 2, 6, [1])


def test_a_command_that_is_too_large_runs_alone():
    ledger = Ledger(10)
    assert taken(ledger, 0, 99, [])
    assert not taken(ledger, 1, 1, [0])
    assert taken(ledger, 1, 1, [])


def test_a_command_counts_with_what_it_has_taken_or_is_expected_to():
    ledger = Ledger(0)
    # Of 3200 a thirty-second part is left alone.
    ledger.look(3200, {}, 1 << 60, 0.0)
    assert ledger.room == 3100
    assert taken(ledger, 0, 1000, [])
    # It has taken 200 of 1000: what is available is what the others may have, and what it has not taken.
    ledger.look(3200, {0: 200}, 1 << 60, 1.0)
    assert ledger.room == 3300
    assert not taken(ledger, 1, 2301, [0])
    assert taken(ledger, 1, 2300, [0])
    # It has taken more than expected.
    ledger.look(3200, {0: 1500, 1: 0}, 1 << 60, 1.0)
    assert ledger.room == 4600
    assert not taken(ledger, 2, 801, [0, 1])
    assert (ledger.most_of(0), ledger.most_of(7)) == (1500, 0)


def test_what_there_was_does_not_lack_memory_that_is_on_its_way():
    ledger = Ledger(0)
    assert taken(ledger, 0, 1000, [])
    ledger.look(320, {0: 900}, 1 << 60, 1.0, before=325)
    assert max(ledger.steady) == ledger.room == 310 + 900
    # More is free than when it was read what the command has, and may count twice.
    ledger.look(640, {0: 900}, 1 << 60, 1.0, before=320)
    assert (ledger.room, max(ledger.steady)) == (620 + 900, 310 + 900)
    # Killed: it has nothing any more, and not all of what it had is free.
    ledger.look(640, {0: 0}, 1 << 60, 1.0, before=640)
    assert (ledger.room, max(ledger.steady)) == (620, 310 + 900)
    # What commands have was not read.
    ledger.look(3200, {}, 1 << 60, 0.0)
    assert (ledger.room, max(ledger.steady)) == (3100, 310 + 900)
    # Others have taken it.
    for _ in range(10):
        ledger.look(640, {0: 100}, 1 << 60, 1.0, before=640)
    assert max(ledger.steady) == 620 + 100


def test_the_total_bounds_what_there_is():
    ledger = Ledger(0)
    ledger.look(1 << 40, {0: 50}, 100, 0.0)
    assert ledger.room == 100


def test_what_is_only_assumed_of_a_running_command_fades():
    ledger = Ledger(1000)
    assert taken(ledger, 0, 800, [], sure=False)
    assert not taken(ledger, 1, 500, [0])
    ledger.look(1 << 40, {0: 10}, 1000, 2.0)
    assert taken(ledger, 1, 500, [0])
    # What is known does not.
    ledger.look(1 << 40, {0: 10, 1: 10}, 1000, 1000.0)
    assert not taken(ledger, 2, 501, [0, 1])
    assert taken(ledger, 2, 490, [0, 1])


def test_a_running_command_of_which_more_becomes_known_counts_with_that():
    ledger = Ledger(1000)
    ledger.adopt(0, 100, sure=False)
    ledger.adopt(0, 900, sure=False)
    assert taken(ledger, 1, 900, [0])
    ledger.adopt(0, 900, sure=True)
    assert not taken(ledger, 2, 1, [0, 1])
    # With all that it counts with it is forgotten.
    assert taken(ledger, 2, 100, [1])
    assert not taken(ledger, 3, 1, [1, 2])


# Waiting


class Line:
    """Commands that wait, beside those that a test says are running."""

    def __init__(self, room: int, needs: Sequence[int]) -> None:
        self.ledger = Ledger(room)
        self.waiting = Waiting(self.ledger, lambda number: (needs[number], True))
        self.clear = self.waiting.clear

    @property
    def numbers(self) -> list[int]:
        return self.waiting.numbers

    def holds(self, number: int, running: Sequence[int]) -> bool:
        self.ledger.keep(running)
        return self.waiting.holds(number, busy=bool(running))

    def next(self, running: Sequence[int]) -> int | None:
        self.ledger.keep(running)
        return self.waiting.next(busy=bool(running))


def waiting_of(room: int, needs: Sequence[int]) -> Line:
    return Line(room, needs)


def test_small_commands_pass_a_large_one_without_delaying_it():
    waiting = waiting_of(10, [6, 9, 1, 4, 1])
    assert not waiting.holds(0, [])
    assert waiting.holds(1, [0])
    # 1 and 9 fit once the first has ended, 4 and 9 do not, nor do 1, 1 and 9.
    assert not waiting.holds(2, [0])
    assert waiting.holds(3, [0, 2])
    assert waiting.holds(4, [0, 2])
    assert waiting.next([0, 2]) is None
    assert waiting.next([2]) == 1
    assert waiting.numbers == [3, 4]
    assert waiting.next([2, 1]) is None
    assert [waiting.next([1]), waiting.next([])] == [None, 3]


def test_the_next_that_waits_has_the_reservation_then():
    waiting = waiting_of(10, [10, 10, 10, 1])
    assert [waiting.holds(0, []), waiting.holds(1, [0]), waiting.holds(2, [0])] == [False, True, True]
    assert waiting.next([]) == 1
    assert waiting.holds(3, [1])
    assert waiting.next([]) == 2
    assert waiting.next([]) == 3
    assert waiting.next([]) is None


def test_no_command_waits_for_one_that_was_given_back():
    waiting = waiting_of(10, [6, 9, 4])
    assert [waiting.holds(0, []), waiting.holds(1, [0])] == [False, True]
    waiting.clear()
    assert not waiting.holds(2, [0])


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), max_size=40), st.integers(1, 10), st.integers(1, 6))
def test_random_commands_fit_all_start_and_none_is_passed_for_ever(commands, room, slots):
    needs = [need for need, _ in commands]
    waiting = waiting_of(room, needs)
    left = list(range(len(commands)))
    # By running command, when it ends.
    running: dict[int, int] = {}
    started: list[int] = []
    # The first that waits, and what has to end before it starts.
    first: tuple[int, set[int]] | None = None
    now = 0

    def start(number: int) -> None:
        nonlocal first
        assert number not in started
        started.append(number)
        running[number] = now + commands[number][1]
        assert len(running) == 1 or sum(needs[each] for each in running) <= room
        if first is not None and first[0] == number:
            first = None

    while left or running or waiting.numbers:
        while len(running) < slots and (number := waiting.next(list(running))) is not None:
            start(number)
        while len(running) < slots and left:
            number = left.pop(0)
            if not waiting.holds(number, list(running)):
                start(number)
            elif first is None:
                first = number, set(running)
        if waiting.numbers and (first is None or first[0] != waiting.numbers[0]):
            first = waiting.numbers[0], set(running)
        # Once what ran before has ended, nothing that has passed keeps it waiting.
        assert first is None or len(running) >= slots or first[1] & running.keys()
        assert running, "something could always run"
        now = min(running.values())
        running = {number: end for number, end in running.items() if end > now}
    assert sorted(started) == list(range(len(commands)))

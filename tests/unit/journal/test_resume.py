"""Which tasks a resumed run reuses and why, and which recorded processes still live."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.journal.file import JournalFile
from fastrun.journal.keys import task_keys
from fastrun.journal.machine import boot_id, ticks_now
from fastrun.journal.recorded import Recorded, Success, read_journal
from fastrun.journal.records import run_record, start_record
from fastrun.journal.resume import make_plan, survivors
from tests.support.documents import graph_of
from tests.support.strategies import graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def recorded_of(keys: list[str], ok: Iterable[int]) -> Recorded:
    """Records in which some of the tasks, named by their numbers, are ok, one after the other."""
    recorded = Recorded()
    recorded.ok = {str(number): Success(keys[number], "", 1.0) for number in ok}
    return recorded


@given(graphs(), st.data())
def test_a_task_is_reused_if_it_was_ok_after_all_it_depends_on_and_that_is_reused(edges, data):
    graph = graph_of(edges)
    keys = task_keys(graph)
    numbers = st.sets(st.sampled_from(range(len(edges))) if edges else st.nothing())
    ok, changed, forced = data.draw(numbers), data.draw(numbers), data.draw(numbers)
    recorded = recorded_of(keys, data.draw(st.permutations([number for number in graph.order if number in ok])))
    ended = {int(name): place for place, name in enumerate(recorded.ok)}
    for number in changed & ok:
        recorded.ok[str(number)] = Success("another", "", 1.0)
    plan = make_plan(graph, keys, recorded, {str(number) for number in forced})

    def reused(number: int) -> bool:
        return number in ok - changed - forced and all(
            reused(other) and ended[other] < ended[number] for other in edges[number]
        )

    assert set(plan.reused) == {number for number in range(len(edges)) if reused(number)}
    assert sorted([*plan.reused, *plan.why]) == list(range(len(edges)))
    assert set(plan.redone) == ok - set(plan.reused)
    places = {number: place for place, number in enumerate(plan.reused)}
    assert all(places[other] < places[number] for number in plan.reused for other in edges[number])


def test_the_plan_says_why_a_task_runs():
    graph = graph_of([[], [], [0], [1, 2], [], [], []])
    keys = task_keys(graph)
    recorded = recorded_of(keys, range(5))
    recorded.ok["0"] = Success("another", "", 1.0)
    recorded.not_ok["5"] = "failed"
    recorded.unfinished["6"] = None  # type: ignore[assignment]  # only that it is there counts
    assert make_plan(graph, keys, recorded, {"4"}).why == {
        0: "changed",
        2: "0 runs",
        3: "2 runs",
        4: "asked for",
        5: "failed the last time",
        6: "its end is not recorded",
    }
    assert set(make_plan(graph, keys, Recorded()).why.values()) == {"not recorded"}
    assert make_plan(graph, keys, recorded_of(keys, (2, 0, 1, 3, 4, 5, 6))).why == {2: "0 has run since", 3: "2 runs"}


def test_a_chain_of_a_hundred_thousand_is_reused():
    edges = [[], *([number] for number in range(99_999))]
    graph = graph_of(edges)
    keys = task_keys(graph)
    assert make_plan(graph, keys, recorded_of(keys, range(100_000))).reused == list(range(100_000))
    assert not make_plan(graph, keys, recorded_of(keys, range(1, 100_000))).reused


@pytest.fixture
def started(tmp_path) -> Callable[..., Recorded]:
    def make(**changes: Any) -> Recorded:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.journal"
        with closing(JournalFile.open(path, False)) as file:
            file.append(run_record("run", "hash") | changes.pop("run", {}))
            file.append(start_record("a", "k", 1, os.getpid(), ticks_now()) | changes)
        return read_journal(path.read_bytes())

    return make


def test_a_recorded_process_that_lives_is_found(started):
    assert [one.pid for one in survivors(started(), boot_id())] == [os.getpid()]


def test_process_with_the_reused_id_of_a_recorded_process_is_another(started):
    for recorded in (
        # It has started after what is recorded; in another boot; on a system that does not say.
        started(ticks=1),
        started(run={"boot": "another"}),
        started(ticks=None),
        started(pid=None),
    ):
        assert list(survivors(recorded, boot_id())) == []
    assert list(survivors(started(run={"boot": ""}), "")) == []

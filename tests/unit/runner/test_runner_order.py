"""The order in which tasks start one at a time: what the dry run says, what a run does, and what the rule is."""

from __future__ import annotations

import asyncio
from math import isqrt
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.parse import read
from fastrun.outcome import FIRST_START
from fastrun.plan.graph import Graph, build
from fastrun.plan.scheduler import order
from fastrun.runner.runner import Run
from tests.support.documents import document, exec_, write_json
from tests.support.fakes import OK, Recorder
from tests.support.processes import fastrun
from tests.support.strategies import graphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastrun.protocols import Chain, Events

# What may be said of a task that does not change which tasks run if all are ok.
KEYS: list[dict[str, Any]] = [{}, {"pool": "p"}, {"pool": "q"}, {"when": "always"}, {"retries": 2}, {"timeout": 9}]


class OneAtATime:
    """An executor with one slot, whose tasks are ok at once."""

    longest_chain = 64

    slots = 1

    def open(self, events: Events) -> None:
        self.events = events

    async def start(self, chains: Sequence[Chain]) -> None:
        for chain in chains:
            for number, _ in chain:
                self.events.task_started(number, FIRST_START)
                self.events.task_ended(number, OK)

    def recall(self) -> None:
        raise AssertionError

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        raise AssertionError

    def suspend(self, *, resume: bool) -> None:
        raise AssertionError

    async def close(self) -> None:
        pass


class ManyAtOnce(OneAtATime):
    """The same executor, which tells all of a chain at once."""

    async def start(self, chains: Sequence[Chain]) -> None:
        for chain in chains:
            self.events.tasks_ran([number for number, _ in chain])


def started(graph: Graph) -> list[int]:
    """Run a graph with one slot. Returns its tasks in the order in which they started."""
    events = []
    for executor in (OneAtATime(), ManyAtOnce()):
        recorder = Recorder()
        run = Run(graph, {"exec": executor}, [recorder], warn=lambda _: None)
        assert asyncio.run(run.run()).ok
        events.append(recorder.events)
    assert events[0] == events[1]
    return [int(event[1]) for event in events[0] if event[0] == "task_started"]


def by_the_rule(edges: list[list[int]], weights: Sequence[float]) -> list[int]:
    """Of the tasks that are ready the one with the longest path starts next, of equal ones the first."""
    paths: dict[int, float] = {}
    while len(paths) < len(edges):
        for task in range(len(edges)):
            dependents = [other for other, found in enumerate(edges) if task in found]
            if all(other in paths for other in dependents):
                paths[task] = weights[task] + max((paths[other] for other in dependents), default=0)
    rest = list(range(len(edges)))
    done: list[int] = []
    while rest:
        ready = [task for task in rest if set(edges[task]) <= set(done)]
        done.append(max(ready, key=lambda task: (paths[task], -task)))
        rest.remove(done[-1])
    return done


def graph_with_keys(edges: list[list[int]], keys: list[dict[str, Any]]) -> Graph:
    tasks = [exec_(str(n), "", *map(str, found), **keys[n]) for n, found in enumerate(edges)]
    return build(read({**document(*tasks), "pools": {"p": 1, "q": 2}}, "document"))


def some_keys(edges: list[list[int]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.sampled_from(KEYS), min_size=len(edges), max_size=len(edges))


@given(graphs(), st.data())
def test_a_run_with_one_slot_starts_tasks_in_the_order_of_the_dry_run_and_of_the_rule(edges, data):
    graph = graph_with_keys(edges, data.draw(some_keys(edges)))
    # A task without dependencies is as long as a task with one, or it would lose every tie.
    expected = by_the_rule(edges, [1 + isqrt(max(len(found), 1)) for found in edges])
    assert order(graph) == expected
    assert started(graph) == expected


@given(graphs(), st.data())
def test_a_run_starts_no_task_that_the_dry_run_leaves_out(edges, data):
    keys = st.sampled_from([*KEYS, {"when": "failed"}, {"when": "failed", "pool": "p"}])
    graph = graph_with_keys(edges, data.draw(st.lists(keys, min_size=len(edges), max_size=len(edges))))
    assert started(graph) == order(graph)


@given(graphs(), st.data())
def test_recorded_durations_order_the_run_as_they_order_the_dry_run(edges, data):
    graph = graph_with_keys(edges, data.draw(some_keys(edges)))
    seconds = [float(data.draw(st.integers(0, 3))) for _ in edges]
    graph.rank_by({str(number): took for number, took in enumerate(seconds)})
    expected = by_the_rule(edges, seconds)
    assert order(graph) == expected
    assert started(graph) == expected


def test_tasks_of_equal_paths_start_in_the_order_of_the_document(tmp_path):
    # Without dependencies, b with two tasks behind it, and c with one.
    tasks = [exec_(name, ":") for name in ("a", "b", "c")]
    tasks[2:2] = [exec_("b1", ":", "b"), exec_("b2", ":", "b1")]
    path = write_json(tmp_path, document(*tasks, exec_("c1", ":", "c")))
    expected = ["b", "b1", "c", "a", "b2", "c1"]
    assert fastrun("-n", path).stdout.decode().split() == expected
    run = fastrun("-j", "1", "--report", "none", path).stdout.decode().splitlines()
    assert [line.removeprefix("Started: ") for line in run if line.startswith("Started")] == expected

"""The state of every task, without a loop: decisions checked against graphlib and a model."""

from __future__ import annotations

from graphlib import TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from fastrun.outcome import Cause, Status
from fastrun.plan.conditions import Skip
from fastrun.plan.scheduler import Phase, Scheduler, order
from tests.support.documents import graph_of
from tests.support.strategies import graphs


def scheduler_of(edges: list[list[int]], keep_going: int = 0) -> Scheduler:
    return Scheduler(graph_of(edges), bytes(len(edges)), 1, keep_going)


def ready(scheduler: Scheduler, lane: int = 0) -> list[int]:
    """Start all that may start. Returns the heads of the chains."""
    return [chain[0] for chain in scheduler.start(lane, 1_000_000)]


def start_one(scheduler: Scheduler, lane: int = 0) -> int | None:
    """Start the next task. Returns it, the head of its chain."""
    chains = scheduler.start(lane, 1)
    return chains[0][0] if chains else None


@given(graphs())
def test_the_same_tasks_are_ready_as_graphlib_says(edges):
    scheduler = scheduler_of(edges)
    oracle = TopologicalSorter(dict(enumerate(edges)))
    oracle.prepare()
    while oracle.is_active():
        # Those that a chain went on with run already.
        batch = sorted({*_running(scheduler), *ready(scheduler)})
        assert batch == sorted(oracle.get_ready())
        oracle.done(*batch)
        for task in batch:
            assert scheduler.task_ended(task, Status.OK) == []
    assert scheduler.finished
    assert set(scheduler.statuses) <= {Status.OK}


@given(graphs(), st.randoms(use_true_random=False), st.sets(st.integers(0, 29)))
def test_statuses_follow_from_the_failures_in_any_order_of_ends(edges, random, failing):
    scheduler = scheduler_of(edges)
    started: set[int] = set()
    while True:
        ready(scheduler)
        running = _running(scheduler)
        started.update(running)
        if not running:
            break
        assert not scheduler.finished
        task = running.pop(random.randrange(len(running)))
        scheduler.task_ended(task, Status.FAILED if task in failing else Status.OK)
    assert scheduler.finished

    def status(task: int) -> Status:
        if any(status(other) != Status.OK for other in edges[task]):
            return Status.SKIPPED
        return Status.FAILED if task in failing else Status.OK

    expected = [status(task) for task in range(len(edges))]
    assert list(scheduler.statuses) == expected
    assert started == {task for task, status in enumerate(expected) if status != Status.SKIPPED}
    for task, skip in scheduler.skips.items():
        assert skip.root is not None
        assert expected[skip.root] == Status.FAILED
        assert skip.root in ancestors(edges, task)


def _running(scheduler: Scheduler) -> list[int]:
    return [task for task, status in enumerate(scheduler.statuses) if status == Status.RUNNING]


@given(graphs(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_chains_hand_out_each_task_once_and_never_before_its_dependencies(edges, random, slots):
    scheduler = scheduler_of(edges)
    chains: list[list[int]] = []
    done: list[int] = []
    while not scheduler.finished:
        chains += scheduler.start(0, slots - scheduler.running[0])
        assert sorted(_running(scheduler)) == sorted(chain[0] for chain in chains)
        assert 0 < scheduler.running[0] <= slots
        chain = chains.pop(random.randrange(len(chains)))
        assert set(edges[chain[0]]) <= set(done)
        if random.random() < 0.2:
            # As the rest of a chain whose time is over.
            scheduler.put_back(chain[0])
            continue
        done.append(chain[0])
        scheduler.task_ended(chain.pop(0), Status.OK)
        if chain:
            chains.append(chain)
    assert sorted(done) == list(range(len(edges)))


def test_chain_holds_tasks_that_wait_only_for_the_task_before():
    # 0 - 1 - 2 - 4, and 3 before 4 as well.
    scheduler = scheduler_of([[], [0], [1], [], [2, 3]])
    assert scheduler.start(0, 2) == [[0, 1, 2], [3]]


def test_a_chain_ends_where_two_could_go_on():
    assert scheduler_of([[], [0], [1], [1]]).start(0, 1) == [[0, 1]]


def test_a_chain_ends_where_a_task_that_waits_for_two_of_its_tasks_could_go_on():
    # When 1 ends both 2, which waits for 0 as well, and 3 are ready.
    assert scheduler_of([[], [0], [0, 1], [1]]).start(0, 1) == [[0, 1]]
    assert order(graph_of([[], [0], [0, 1], [1]])) == [0, 1, 2, 3]


def test_a_chain_goes_on_with_a_task_that_waits_for_two_of_its_tasks():
    assert scheduler_of([[], [0], [0, 1]]).start(0, 1) == [[0, 1, 2]]


def test_no_chain_while_others_wait_for_a_slot():
    assert scheduler_of([[], [0], []]).start(0, 1) == [[0]]


def test_a_chain_stays_in_its_lane():
    scheduler = Scheduler(graph_of([[], [0], [1]]), [0, 0, 1], 2)
    assert scheduler.start(0, 1) == [[0, 1]]


def test_a_chain_is_as_long_as_its_lane_allows():
    tasks = [[], [0], [1], [2], [], [4], [5]]
    scheduler = Scheduler(graph_of(tasks), [0, 0, 0, 0, 1, 1, 1], 2, longest_chains=(3, 1))
    assert scheduler.start(0, 2) == [[0, 1, 2]]
    assert scheduler.start(1, 2) == [[4]]


def test_a_failure_in_a_chain_skips_the_rest():
    scheduler = scheduler_of([[], [0], [1]])
    assert scheduler.start(0, 1) == [[0, 1, 2]]
    scheduler.task_ended(0, Status.OK)
    assert scheduler.running == [1]
    assert scheduler.task_ended(1, Status.FAILED) == [2]
    assert scheduler.finished


def ancestors(edges: list[list[int]], task: int) -> set[int]:
    found: set[int] = set()
    stack = [task]
    while stack:
        for other in edges[stack.pop()]:
            if other not in found:
                found.add(other)
                stack.append(other)
    return found


def test_among_equal_ranks_the_first_task_of_the_document_starts_first():
    scheduler = scheduler_of([[], [], []])
    assert [start_one(scheduler) for _ in range(4)] == [0, 1, 2, None]


def test_the_longest_remaining_path_starts_first():
    # 3 - 0 is the longest path; 1 and 2 are alone.
    scheduler = scheduler_of([[3], [], [], []])
    assert [start_one(scheduler) for _ in range(3)] == [3, 1, 2]
    scheduler.task_ended(3, Status.OK)
    assert start_one(scheduler) == 0


def test_task_that_is_ready_later_goes_before_waiting_ones_with_shorter_paths():
    scheduler = scheduler_of([[], [], [0], [2], [3]])
    assert start_one(scheduler) == 0
    scheduler.task_ended(0, Status.OK)
    assert start_one(scheduler) == 2


def test_a_lane_does_not_hold_up_the_other():
    scheduler = Scheduler(graph_of([[], [], []]), [0, 1, 0], 2)
    assert ready(scheduler, 1) == [1]
    assert scheduler.running == [0, 1]
    assert ready(scheduler, 0) == [0, 2]


def test_a_task_that_is_put_back_is_the_next_again():
    scheduler = scheduler_of([[], []])
    assert start_one(scheduler) == 0
    scheduler.put_back(0)
    assert scheduler.running == [0]
    assert not scheduler.finished
    assert start_one(scheduler) == 0


def test_a_skip_names_the_root_and_not_the_neighbour():
    scheduler = scheduler_of([[], [0], [1], [2]])
    start_one(scheduler)
    assert scheduler.task_ended(0, Status.FAILED) == [1, 2, 3]
    assert scheduler.skips == dict.fromkeys([1, 2, 3], Skip(Cause.DEPENDENCY, 0))


def test_nothing_starts_after_so_many_failures():
    scheduler = scheduler_of([[], [], [], []], keep_going=2)
    running = [start_one(scheduler), start_one(scheduler), start_one(scheduler)]
    assert running == [0, 1, 2]
    scheduler.task_ended(0, Status.FAILED)
    assert scheduler.phase is Phase.RUNNING
    scheduler.task_ended(1, Status.FAILED)
    assert start_one(scheduler) is None
    assert not scheduler.finished
    scheduler.task_ended(2, Status.OK)
    assert scheduler.finished
    assert scheduler.close(Status.SKIPPED) == [3]


def test_an_interrupted_task_skips_nothing():
    scheduler = scheduler_of([[], [0]])
    start_one(scheduler)
    scheduler.enter(Phase.STOPPING)
    assert scheduler.task_ended(0, Status.INTERRUPTED) == []
    assert scheduler.finished
    assert scheduler.close(Status.INTERRUPTED) == [1]
    assert list(scheduler.statuses) == [Status.INTERRUPTED] * 2


def test_a_chain_of_a_million_is_skipped_without_recursion():
    size = 1_000_000
    from array import array

    from fastrun.document.task import Task
    from fastrun.plan.graph import Graph

    task = Task("", "exec", "")
    graph = Graph([task] * size, array("i", [0, *[1] * (size - 1)]), array("i", range(size - 1)))
    scheduler = Scheduler(graph, bytes(size), 1)
    assert start_one(scheduler) == 0
    assert len(scheduler.task_ended(0, Status.FAILED)) == size - 1


def test_order_is_by_dependencies_then_by_rank_and_then_by_the_file():
    assert order(graph_of([[2], [], [], [1]])) == [1, 2, 0, 3]
    assert order(graph_of([[], [], [1], [2], []])) == [1, 2, 0, 3, 4]

"""What the tasks of a workflow would take on few slots. Knows nothing of what runs them."""

from collections.abc import Sequence
from graphlib import TopologicalSorter
from heapq import heapify, heappop, heappush
from math import isqrt

from bench.compare.workflows.workflow import Workflow

# What is computed of a workflow, as the tables name it.
BOUND = "lower bound"


KNOWN = "list schedule, durations known"


IN_ORDER = "list schedule, order of the file"


RANKED = "list schedule, fastrun's order"


def critical_path(workflow: Workflow) -> float:
    """Seconds of the longest path: what the workflow takes with as many slots as tasks."""
    return max(remaining_paths(workflow, workflow.seconds), default=0.0)


def lower_bound(workflow: Workflow, slots: int | None) -> float:
    """Seconds that no schedule on so many slots goes below. None: as many slots as tasks."""
    longest = critical_path(workflow)
    return longest if slots is None else max(longest, sum(workflow.seconds) / slots)


def remaining_paths(workflow: Workflow, weights: Sequence[float]) -> list[float]:
    """For each task the longest path that begins with it, its own weight included.

    With the durations as weights, the classic priority by critical path.
    """
    paths = list(map(float, weights))
    order = list(TopologicalSorter(dict(enumerate(workflow.parents))).static_order())
    for task in reversed(order):
        for parent in workflow.parents[task]:
            paths[parent] = max(paths[parent], weights[parent] + paths[task])
    return paths


def list_schedule(workflow: Workflow, slots: int | None, priorities: Sequence[float]) -> float:
    """Seconds that a list schedule takes: a free slot gets the ready task of the highest priority.

    Of equal ones the first in the file. ``slots``: 1 or more, None for as many as tasks. Starting costs nothing, and
    who ends at the same moment ends before anything starts.
    """
    dependents: list[list[int]] = [[] for _ in workflow.names]
    for task, parents in enumerate(workflow.parents):
        for parent in parents:
            dependents[parent].append(task)
    waiting_on = [len(parents) for parents in workflow.parents]
    ready = [(-priorities[task], task) for task, count in enumerate(waiting_on) if not count]
    heapify(ready)
    running: list[tuple[float, int]] = []
    free = len(workflow.names) if slots is None else slots
    now = 0.0
    while ready or running:
        while ready and free:
            _, task = heappop(ready)
            heappush(running, (now + workflow.seconds[task], task))
            free -= 1
        now = running[0][0]
        while running and running[0][0] == now:
            _, task = heappop(running)
            free += 1
            for dependent in dependents[task]:
                waiting_on[dependent] -= 1
                if not waiting_on[dependent]:
                    heappush(ready, (-priorities[dependent], dependent))
    return now


def ranks(workflow: Workflow) -> list[float]:
    """What each task weighs in fastrun's order: one that reads what many others wrote is likely to be long."""
    return [1.0 + isqrt(len(parents)) for parents in workflow.parents]


def schedules(workflow: Workflow, slots: int | None) -> dict[str, float]:
    """Simulations beside the workflows' runs: what a workflow takes in theory.

    The lower bound is the work of a slot or the longest path. One list schedule is by critical path and knows the
    durations, as no runner does. Two do not: that in the order of the file, and that in fastrun's order, by the longest
    remaining path, where a task weighs 1 + the whole square root of the number of its dependencies. Biased in favour of
    all of them: starting costs nothing, while fastrun's time has its start-up, its report and the processes in it,
    which hold a slot for 2 ms longer than they sleep. Of fastrun there is one run of each, as the sleeps are the
    same in the next. A look-alike has the shape of a published workflow and invented durations.
    """
    return {
        BOUND: lower_bound(workflow, slots),
        KNOWN: list_schedule(workflow, slots, remaining_paths(workflow, workflow.seconds)),
        IN_ORDER: list_schedule(workflow, slots, [0.0] * len(workflow.names)),
        RANKED: list_schedule(workflow, slots, remaining_paths(workflow, ranks(workflow))),
    }


def scaled(workflow: Workflow, slots: int | None, seconds: float) -> Workflow:
    """The same with all durations times one factor, so that the lower bound on so many slots is ``seconds``.

    Some task has to take time.
    """
    factor = seconds / lower_bound(workflow, slots)
    return workflow._replace(seconds=[duration * factor for duration in workflow.seconds])

"""Schedules of a workflow: the time that its tasks would take on few slots.

Knows nothing of the programs that run the workflow.
"""

from collections.abc import Sequence
from graphlib import TopologicalSorter
from heapq import heapify, heappop, heappush
from math import isqrt

from bench.compare.workflows.workflow import Workflow

# Names of what ``schedules`` computes.
BOUND = "lower bound"
KNOWN = "list schedule, durations known"
IN_ORDER = "list schedule, order of the file"
RANKED = "list schedule, fastrun's order"


def critical_path(workflow: Workflow) -> float:
    """Return the seconds of the longest path: the makespan with as many slots as tasks."""
    return max(remaining_paths(workflow, workflow.seconds), default=0.0)


def lower_bound(workflow: Workflow, slots: int | None) -> float:
    """Return seconds that no schedule on that many slots goes below. None: as many slots as tasks."""
    longest = critical_path(workflow)
    return longest if slots is None else max(longest, sum(workflow.seconds) / slots)


def remaining_paths(workflow: Workflow, weights: Sequence[float]) -> list[float]:
    """Return for each task the weight of the longest path that begins with it, its own weight included.

    With the durations as weights this is the classic priority by critical path.
    """
    paths = list(map(float, weights))
    order = list(TopologicalSorter(dict(enumerate(workflow.parents))).static_order())
    for task in reversed(order):
        for parent in workflow.parents[task]:
            paths[parent] = max(paths[parent], weights[parent] + paths[task])
    return paths


def list_schedule(workflow: Workflow, slots: int | None, priorities: Sequence[float]) -> float:
    """Return the makespan of a list schedule: a free slot gets the ready task of the highest priority.

    Of tasks with equal priority the first in the file starts first. ``slots``: 1 or more, None for as many as tasks.
    Starting costs nothing, and all tasks that end at the same moment end before any task starts.
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
    """Return the weight of each task in fastrun's order: a task that reads the output of many is likely to be long."""
    return [1.0 + isqrt(len(parents) or 1) for parents in workflow.parents]


def schedules(workflow: Workflow, slots: int | None) -> dict[str, float]:
    """Simulate the workflow: its makespan in theory, beside that of the runs.

    The lower bound is the work per slot or the longest path, whichever is longer. One list schedule goes by critical
    path and knows the durations, which no runner knows. Two list schedules do not know them: one in the order of the
    file, one in fastrun's order. That is by the longest remaining path, in which a task weighs 1 + the whole square
    root of the number of its dependencies, or 2 if it has none. Biased in favour of all of them: starting costs
    nothing, while fastrun's time includes start-up, report and processes, which hold a slot for 2 ms longer than they
    sleep. fastrun runs each workflow only once, since the sleeps would be the same in another run. A look-alike has the
    shape of a published workflow and invented durations.
    """
    return {
        BOUND: lower_bound(workflow, slots),
        KNOWN: list_schedule(workflow, slots, remaining_paths(workflow, workflow.seconds)),
        IN_ORDER: list_schedule(workflow, slots, [0.0] * len(workflow.names)),
        RANKED: list_schedule(workflow, slots, remaining_paths(workflow, ranks(workflow))),
    }


def scaled(workflow: Workflow, slots: int | None, seconds: float) -> Workflow:
    """Multiply all durations by one factor that makes ``seconds`` the lower bound on that many slots.

    At least one task must take time.
    """
    factor = seconds / lower_bound(workflow, slots)
    return workflow._replace(seconds=[duration * factor for duration in workflow.seconds])

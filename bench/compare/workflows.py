"""Workflows of science, or look-alikes, and what their tasks would take on few slots. Knows nothing of what runs them.

A folder holds published workflows, each a JSON file ``{"tasks": [{"name", "seconds", "parents"}]}``, and is named by
the caller or by the environment variable FASTRUN_WORKFLOWS; where there is none, look-alikes are made, which have
the shape of published workflows and invented durations.
"""

import os
import random
from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter
from heapq import heapify, heappop, heappush
from math import isqrt
from typing import NamedTuple

import orjson

from bench.generators import Document

# Seconds. A `sleep` shorter than this is shorter than what starting it takes, and says nothing.
SHORTEST = 0.0001

# The most tasks of a workflow that a quick run takes.
QUICK_TASKS = 60

# What is computed of a workflow, as the tables name it.
BOUND = "lower bound"
KNOWN = "list schedule, durations known"
IN_ORDER = "list schedule, order of the file"
RANKED = "list schedule, fastrun's order"


class Workflow(NamedTuple):
    """Tasks that are numbers from 0 in the order of the file. ``parents``: for each, those it depends on."""

    title: str
    names: list[str]
    seconds: list[float]
    parents: list[list[int]]


def load_workflows(folder: str) -> list[Workflow]:
    """The workflows of a folder's ``.json`` files, by file name. Raises OSError and what ``read_workflow`` does."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    return [read_workflow(os.path.join(folder, name)) for name in names]


def read_workflow(path: str) -> Workflow:
    """Read one file. Raises ValueError for an unknown parent, for a cycle and if no task takes any time."""
    with open(path, "rb") as file:
        tasks = orjson.loads(file.read())["tasks"]
    names = [task["name"] for task in tasks]
    numbers = {name: number for number, name in enumerate(names)}
    title = os.path.splitext(os.path.basename(path))[0]
    try:
        parents = [[numbers[name] for name in dict.fromkeys(task["parents"])] for task in tasks]
    except KeyError as error:
        raise ValueError(f"{path}: unknown parent {error}") from None
    workflow = Workflow(title, names, [float(task["seconds"]) for task in tasks], parents)
    if not critical_path(workflow):
        raise ValueError(f"{path}: no task takes any time")
    return workflow


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


def document(workflow: Workflow) -> Document:
    """A document in which each task sleeps for its seconds, to the microsecond, and depends on its parents."""
    tasks = []
    for name, seconds, parents in zip(workflow.names, workflow.seconds, workflow.parents, strict=True):
        command = f"sleep {seconds:.6f}" if seconds >= SHORTEST else "true"
        dependencies = [workflow.names[parent] for parent in parents]
        tasks.append({"name": name, "type": "exec", "arguments": command, "dependencies": dependencies})
    return {"tasks": tasks}


def montage_like(width: int, seed: int = 0) -> Workflow:
    """Three bands of a mosaic: long projections, many tiny comparisons of neighbours, a model, short corrections."""
    maker = _Maker("montage look-alike", seed)
    views = []
    for _ in range(3):
        images = [maker.add("project", 700, 0.25) for _ in range(width)]
        pairs = [(images[i], images[j]) for i in range(width) for j in range(i + 1, min(i + 4, width))]
        fits = [maker.add("compare", 0.01, 1.0, pair) for pair in pairs]
        model = maker.add("model", 3, 0.1, [maker.add("concat", 0.8, 0.1, fits)])
        corrected = [maker.add("correct", 40, 0.6, (image, model)) for image in images]
        table = maker.add("table", 0.3, 0.1, corrected)
        views.append(maker.add("view", 12, 0.4, [maker.add("mosaic", 8, 0.4, [*corrected, table])]))
    maker.add("colour", 40, 0.1, views)
    return maker.workflow


def epigenomics_like(width: int, seed: int = 0) -> Workflow:
    """Four lanes, each split into chains of four tasks of which the last is long; merged twice, then piled up."""
    maker = _Maker("epigenomics look-alike", seed)
    lanes = []
    for _ in range(4):
        split = maker.add("split", 32, 0.1)
        chunks = []
        for _ in range(width):
            last = split
            for stage, median, spread in (("filter", 18, 0.5), ("sanger", 13, 0.5), ("pack", 3, 0.4), ("map", 40, 0.3)):
                last = maker.add(stage, median, spread, [last])
            chunks.append(last)
        lanes.append(maker.add("merge", 5, 0.1, chunks))
    index = maker.add("index", 25, 0.1, [maker.add("merge all", 19, 0.1, lanes)])
    maker.add("pile up", 27, 0.1, [index])
    return maker.workflow


def blast_like(width: int, seed: int = 0) -> Workflow:
    """A split, a wide stage with a heavy tail, and two tasks that each read all of it."""
    maker = _Maker("blast look-alike", seed)
    split = maker.add("split", 5, 0.1)
    found = [maker.add("search", 40, 1.0, [split]) for _ in range(width)]
    maker.add("results", 10, 0.1, found)
    maker.add("errors", 0.5, 0.1, found)
    return maker.workflow


def variants_like(width: int, seed: int = 0) -> Workflow:
    """Samples, each a chain and a fan of callers; then one very long merge beside joins with more to come.

    The merge is the last of its path: whoever counts hops starts it late.
    """
    maker = _Maker("variants look-alike", seed)
    regions: list[list[int]] = [[] for _ in range(width)]
    for _ in range(width):
        last = maker.add("align", 60, 0.1)
        for stage, median in (("sort", 70), ("clean", 75), ("target", 150), ("realign", 110)):
            last = maker.add(stage, median, 0.2, [last])
        for region in regions:
            region.append(maker.add("call", 100, 0.5, [last]))
    maker.add("merge", 150 * width, 0.2, [call for region in regions for call in region])
    joined = maker.add("combine", 50, 0.1, [maker.add("join", 700, 0.3, region) for region in regions])
    for kind in ("snp", "indel"):
        maker.add(f"filter {kind}", 35, 0.1, [maker.add(f"select {kind}", 90, 0.1, [joined])])
    return maker.workflow


class _Maker:
    """Adds tasks to a workflow; the same calls with the same seed give the same one."""

    def __init__(self, title: str, seed: int) -> None:
        self.workflow = Workflow(title, [], [], [])
        self._rng = random.Random(seed)

    def add(self, stage: str, median: float, spread: float, parents: Iterable[int] = ()) -> int:
        """A task whose duration is drawn log-normally, which has a heavy tail. Returns its number."""
        number = len(self.workflow.names)
        self.workflow.names.append(f"{stage} {number}")
        # To the millisecond, as published: and so that no difference of two platforms' last bits is left.
        self.workflow.seconds.append(round(median * self._rng.lognormvariate(0, spread), 3))
        self.workflow.parents.append(list(parents))
        return number


def look_alikes(*, quick: bool = False, seed: int = 0) -> list[Workflow]:
    """One workflow of each shape; ``quick``: small ones, of no more than ``QUICK_TASKS`` tasks."""
    widths = (3, 2, 40, 4) if quick else (40, 40, 400, 16)
    makers = (montage_like, epigenomics_like, blast_like, variants_like)
    return [make(width, seed) for make, width in zip(makers, widths, strict=True)]


def find_workflows(folder: str | None = None, *, quick: bool = False) -> list[Workflow]:
    """Those of a folder, or of that which FASTRUN_WORKFLOWS names, or look-alikes; ``quick``: the small ones.

    Raises what ``load_workflows`` does, and ValueError if there is none.
    """
    folder = folder or os.environ.get("FASTRUN_WORKFLOWS")
    if not folder:
        return look_alikes(quick=quick)
    found = [workflow for workflow in load_workflows(folder) if not quick or len(workflow.names) <= QUICK_TASKS]
    if not found:
        raise ValueError(f"{folder}: no {'small ' if quick else ''}workflow is there")
    return found

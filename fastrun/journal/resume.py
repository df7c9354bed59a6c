"""The decision which tasks need not run again, made from the records.

A task is reused if it is recorded as ok with its present key and all its dependencies are reused. Knows the graph and
the records; no file and no process.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from fastrun.collector import collector_off
from fastrun.journal.machine import process_start_time
from fastrun.journal.records import Recorded, Unfinished
from fastrun.plan.graph import Graph


class Plan(NamedTuple):
    """What to do with the tasks of a document. Tasks are given by their numbers.

    ``reused``: tasks that are ok already, each after its dependencies. ``redone``: tasks that are recorded as ok and
    run again all the same. ``why``: for each task that runs, the reason in a few words. ``seconds``: by name, how long
    the task ran when it was last ok.
    """

    reused: list[int]
    redone: list[int]
    why: dict[int, str]
    seconds: Mapping[str, float]


def make_plan(graph: Graph, keys: list[str], recorded: Recorded, forced: Collection[str] = ()) -> Plan:
    """Decide for each task whether it runs. ``keys``: one per task. ``forced``: names of tasks that run in any case."""
    tasks = graph.tasks
    plan = Plan([], [], {}, recorded.seconds)
    # For each task the first of its dependencies that runs.
    blockers: dict[int, int] = {}
    with collector_off():
        for number in graph.order:
            name = tasks[number].name
            blocker = blockers.pop(number, None)
            if name in forced:
                why = "asked for"
            elif blocker is not None and name in recorded.ok:
                # Whether or not its key has changed along with that of the dependency.
                why = f"{tasks[blocker].label} runs"
            else:
                why = _changed(name, keys[number], recorded)
            if not why:
                plan.reused.append(number)
            else:
                plan.why[number] = why
                if name in recorded.ok:
                    plan.redone.append(number)
                for dependent in graph.dependents_of(number):
                    blockers.setdefault(dependent, number)
    return plan


def _changed(name: str, key: str, recorded: Recorded) -> str:
    """Return why a task has to run even if its dependencies do not, empty if it does not have to."""
    success = recorded.ok.get(name)
    if success is not None:
        return "" if success.key == key else "changed"
    if name in recorded.unfinished:
        return "its end is not recorded"
    if name in recorded.outdated:
        return "a dependency ran again, or was to"
    status = recorded.not_ok.get(name)
    return "not recorded" if status is None else f"{status} the last time"


def outdated(graph: Graph, plan: Plan) -> Iterator[str]:
    """Yield the names of tasks outside the selected part of a graph that depend on tasks that run.

    Their recorded success no longer counts.
    """
    if graph.whole is None:
        return
    whole, numbers = graph.whole
    for number in sorted(whole.reached(numbers[number] for number in plan.why).difference(numbers)):
        yield whole.tasks[number].name


def survivors(recorded: Recorded, boot: str) -> Iterator[Unfinished]:
    """Yield the recorded starts whose process still lives. ``boot``: see ``boot_id``."""
    for started in recorded.unfinished.values():
        if boot and started.run.boot == boot and started.pid is not None and started.ticks is not None:
            began = process_start_time(started.pid)
            if began is not None and began <= started.ticks:
                yield started

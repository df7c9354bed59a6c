"""The decision which tasks need not run again, made from the records.

A task is reused if it is recorded as ok with its present key and all its dependencies are reused. A task that names its
files is reused if they are what they were. Knows the graph and the records; no file and no process.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from fastrun.collector import collector_off
from fastrun.document.task import Task
from fastrun.journal.machine import process_start_time
from fastrun.journal.recorded import Recorded, Unfinished
from fastrun.plan.graph import Graph


class Plan(NamedTuple):
    """What to do with the tasks of a document. Tasks are given by their numbers.

    ``reused``: tasks that are ok already, each after its dependencies. ``redone``: tasks that are recorded as ok and
    are to run again whatever their files are, in this run or a later one. ``why``: for each task that runs, the reason
    in a few words. ``undecided``: tasks that may be up to date, which is known only once their dependencies have ended,
    or after files are read. ``seconds``: by name, how long the task ran when it was last ok. ``memory``: by name, the
    bytes that the task needed before.
    """

    reused: list[int]
    redone: list[int]
    why: dict[int, str]
    undecided: set[int]
    seconds: Mapping[str, float]
    memory: Mapping[str, int]


def make_plan(
    graph: Graph,
    keys: list[str],
    recorded: Recorded,
    forced: Collection[str] = (),
    *,
    update: bool = False,
    is_up_to_date: Callable[[Task], bool] = lambda _: False,
) -> Plan:
    """Decide for each task whether it runs. ``keys``: one per task. ``forced``: names of tasks that run in any case.

    A task that names its files runs if they changed, whatever its dependencies do; another task runs if one of its
    dependencies does and, with ``update``, always. ``is_up_to_date``: whether the files of a task, which has some, are
    surely as they were when it was last ok.
    """
    tasks = graph.tasks
    plan = Plan([], [], {}, set(), recorded.seconds, recorded.memory)
    # For each task the first of its dependencies that runs.
    blockers: dict[int, int] = {}
    # Tasks with a dependency that may run, and tasks that depend on one that is forced.
    unsure: set[int] = set()
    insisted: set[int] = set()
    overtaken = {} if update else _overtaken(graph, recorded)
    with collector_off():
        for number in graph.order:
            task = tasks[number]
            name = task.name
            blocker = blockers.pop(number, None)
            if name in forced:
                insisted.add(number)
                why = "asked for"
            elif update and not task.has_files:
                why = "names no files"
            elif blocker is not None and (number in insisted or (name in recorded.ok and not task.has_files)):
                # Whether or not its key has changed along with that of the dependency.
                why = f"{tasks[blocker].label} runs"
            else:
                why = _changed(task, keys[number], recorded) or overtaken.get(number, "")
            if why:
                plan.why[number] = why
                # Files say what they say whatever this run comes to.
                if name in recorded.ok and (number in insisted or not task.has_files):
                    plan.redone.append(number)
                for dependent in graph.dependents_of(number):
                    blockers.setdefault(dependent, number)
                if number in insisted:
                    insisted.update(graph.dependents_of(number))
            elif blocker is None and number not in unsure and (not task.has_files or is_up_to_date(task)):
                plan.reused.append(number)
            else:
                plan.undecided.add(number)
                unsure.update(graph.dependents_of(number))
    return plan


def _overtaken(graph: Graph, recorded: Recorded) -> dict[int, str]:
    """Return why tasks run that were ok before one that they depend on: it ran again without them in the document.

    A task that names its files is not among these: it runs if they changed.
    """
    tasks = graph.tasks
    order = {name: position for position, name in enumerate(recorded.ok)}
    found: dict[int, str] = {}
    for number, task in enumerate(tasks):
        ended = order.get(task.name, 0)
        for dependent in graph.dependents_of(number) if ended else ():
            if order.get(tasks[dependent].name, ended) < ended and not tasks[dependent].has_files:
                found[dependent] = f"{task.label} has run since"
    return found


def _changed(task: Task, key: str, recorded: Recorded) -> str:
    """Return why a task has to run whatever its dependencies and files are, empty if it does not have to."""
    name = task.name
    success = recorded.ok.get(name)
    if success is not None:
        if success.key == key:
            return ""
        return f"the {'command' if task.type == 'exec' else 'snippet'} changed" if task.has_files else "changed"
    if name in recorded.unfinished:
        return "its end is not recorded"
    if name in recorded.outdated:
        return "a dependency ran again, or was to"
    status = recorded.not_ok.get(name)
    return "not recorded" if status is None else f"{status} the last time"


def followers(graph: Graph, numbers: Iterable[int], known: Collection[int] = ()) -> set[int]:
    """Return the tasks that run because one of some tasks does, but for ``known`` ones and what they lead to.

    These are dependents that name no files, and theirs.
    """
    found: set[int] = set()
    stack = list(numbers)
    while stack:
        for dependent in graph.dependents_of(stack.pop()):
            if dependent not in found and dependent not in known and not graph.tasks[dependent].has_files:
                found.add(dependent)
                stack.append(dependent)
    return found


def outdated(graph: Graph, plan: Plan) -> Iterator[str]:
    """Yield the names of tasks outside the selected part of a graph that are to run because tasks of the part do.

    Their recorded success no longer counts.
    """
    if graph.whole is None:
        return
    whole, numbers = graph.whole
    for number in sorted(followers(whole, [numbers[number] for number in plan.why]).difference(numbers)):
        yield whole.tasks[number].name


def survivors(recorded: Recorded, boot: str) -> Iterator[Unfinished]:
    """Yield the recorded starts whose process still lives. ``boot``: see ``boot_id``."""
    for started in recorded.unfinished.values():
        if boot and started.run.boot == boot and started.pid is not None and started.ticks is not None:
            began = process_start_time(started.pid)
            if began is not None and began <= started.ticks:
                yield started

"""A model of what a run means: the statuses and the order of events of the strategies' documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.strategies import BEHAVIOURS, HANGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fakes import Recorder


def behaves_well(task: dict[str, Any]) -> bool:
    """Whether a task of the strategies is ok if it runs."""
    behaviour = task["type"], task["arguments"]
    return behaviour != HANGS and BEHAVIOURS[behaviour][0]


def expected_statuses(
    tasks: list[dict[str, Any]], is_ok: Callable[[dict[str, Any]], bool] = behaves_well
) -> dict[str, str]:
    """The model: ok and failed are the task's own doing, skipped is what depends on one that is not ok."""
    by_name = {task["name"]: task for task in tasks}
    found: dict[str, str] = {}

    def status(name: str) -> str:
        if name not in found:
            task = by_name[name]
            if any(status(dependency) != "ok" for dependency in task["dependencies"]):
                found[name] = "skipped"
            else:
                found[name] = "ok" if is_ok(task) else "failed"
        return found[name]

    return {task["name"]: status(task["name"]) for task in tasks}


def roots(tasks: list[dict[str, Any]], statuses: dict[str, str], name: str) -> set[str]:
    """The failed tasks that a task depends on, directly or not."""
    by_name = {task["name"]: task for task in tasks}
    found, stack = set(), [name]
    while stack:
        for dependency in by_name[stack.pop()]["dependencies"]:
            stack.append(dependency)
            if statuses[dependency] == "failed":
                found.add(dependency)
    return found


def check_order(tasks: list[dict[str, Any]], statuses: dict[str, str], recorder: Recorder) -> None:
    started = [event[1] for event in recorder.events if event[0] == "task_started"]
    assert sorted(started) == sorted(name for name, status in statuses.items() if status != "skipped")
    ended = [event[1] for event in recorder.events if event[0] == "task_ended"]
    assert sorted(ended) == sorted(statuses)
    for task in tasks:
        name = task["name"]
        if statuses[name] == "skipped":
            continue
        begin, end = recorder.place("task_started", name), recorder.place("task_ended", name)
        assert begin < end
        assert all(recorder.place("task_ended", dependency) < begin for dependency in task["dependencies"])
        outputs = [i for i, event in enumerate(recorder.events) if event[:2] == ("task_output", name)]
        assert all(begin < place < end for place in outputs)

"""Conditions of tasks: why a task is skipped, and whether it runs after a failure, by its ``when``.

Knows which dependencies have ended, and how. Does not know which tasks are ready or run.
"""

from typing import NamedTuple

from fastrun.outcome import Cause
from fastrun.plan.graph import Graph


class Skip(NamedTuple):
    """Why a task is skipped. ``root``: the number of the failed task at the root of the skip, if there is one."""

    cause: Cause
    root: int | None = None


TOO_MANY = Skip(Cause.TOO_MANY_FAILURES)
NOT_NEEDED = Skip(Cause.NOT_NEEDED)


class Conditions:
    """The tasks that run after a failure, or in any case, and how their dependencies have ended so far.

    ``when``: by task, for the few tasks whose ``when`` is not ``"ok"``.
    """

    def __init__(self, graph: Graph) -> None:
        special = [(number, graph.tasks[number]) for number in graph.special]
        self.when = {number: task.when for number, task in special if task.when != "ok"}
        # Tasks with a ``when`` that have a dependency that failed, or that was skipped for a failure.
        self._after_a_failure: set[int] = set()
        # Tasks without a ``when`` that have a dependency that was not needed.
        self._after_an_unneeded: set[int] = set()

    def allow_chain(self, task: int) -> bool:
        """Return whether a task only waits for its dependencies to be ok."""
        return task not in self.when and task not in self._after_an_unneeded

    def why_skipped(self, task: int, skip: Skip | None, *, last: bool, closing: bool) -> Skip | None:
        """Return why a task is skipped now that a dependency has ended, None if it is not, or not yet.

        ``skip``: why the dependents of that dependency are skipped; None if it counts as ok. ``last``: whether all
        dependencies have ended now. ``closing``: whether only tasks with a ``when`` may start.
        """
        when = self.when.get(task)
        if when is None:
            if skip is NOT_NEEDED:
                # Not at once: if another dependency fails later, that is the better reason.
                self._after_an_unneeded.add(task)
            elif skip is not None:
                return skip
            if not last:
                return None
            if task in self._after_an_unneeded:
                return NOT_NEEDED
            return TOO_MANY if closing else None
        if skip is not None and skip is not NOT_NEEDED:
            self._after_a_failure.add(task)
        if not last or when == "always" or task in self._after_a_failure:
            return None
        return NOT_NEEDED


def after_failures(graph: Graph) -> set[int]:
    """Return the tasks of a graph that run only if another one fails."""
    tasks = graph.tasks
    found: set[int] = set()
    stack = [number for number in graph.special if tasks[number].when == "failed"]
    while stack:
        number = stack.pop()
        if number not in found:
            found.add(number)
            stack.extend(other for other in graph.dependents_of(number) if tasks[other].when == "ok")
    return found

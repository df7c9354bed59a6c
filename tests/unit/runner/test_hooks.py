"""The hooks of observers, called by name."""

from __future__ import annotations

from fastrun import Observer, Task
from fastrun.outcome import OK
from fastrun.runner.hooks import Hooks


class Ends(Observer):
    """Notes the calls of the one hook that it overrides."""

    def __init__(self, error: Exception | None = None, *, congested: bool | Exception = False) -> None:
        self.seen: list[tuple[object, ...]] = []
        self._error = error
        self._congested = congested

    @property
    def congested(self) -> bool:
        if isinstance(self._congested, Exception):
            raise self._congested
        return self._congested

    def task_ended(self, *arguments) -> None:
        self.seen.append(arguments)
        if self._error is not None:
            raise self._error


def test_an_observer_that_raises_is_dropped_and_the_others_go_on():
    warnings: list[str] = []
    first, broken, last = observers = Ends(), Ends(KeyError("no")), Ends()
    hooks = Hooks(observers, warnings.append)
    hooks.call("task_ended", 1)
    hooks.call("task_ended", 2)
    assert (first.seen, broken.seen, last.seen) == ([(1,), (2,)], [(1,)], [(1,), (2,)])
    assert warnings == ["Ends failed and no longer watches: KeyError('no')"]


def test_a_hook_that_is_not_overridden_is_not_called():
    class Counting(Observer):
        def __getattribute__(self, name):
            found.append(name)
            return super().__getattribute__(name)

    found: list[str] = []
    hooks = Hooks([Counting()], found.append)
    hooks.call("task_output", 0, None, 1, b"")
    assert "task_output" not in found


def test_an_observer_that_cannot_tell_whether_it_is_behind_is_not():
    assert Hooks([Ends(congested=True)], print).congested
    assert not Hooks([Ends(), Ends(congested=ValueError("no"))], print).congested


def test_an_observer_hears_of_tasks_that_ran_in_the_hooks_that_it_overrides():
    class Both(Ends):
        def tasks_ran(self, *arguments) -> None:
            self.seen.append(arguments)

    tasks = [Task("a", "eval", ""), Task("b", "eval", "")]
    each, both, neither = Ends(), Both(), Observer()
    Hooks([each, both, neither], lambda _: None).call("tasks_ran", [1, 0], tasks)
    assert each.seen == [(1, tasks[1], OK), (0, tasks[0], OK)]
    assert both.seen == [([1, 0], tasks)]

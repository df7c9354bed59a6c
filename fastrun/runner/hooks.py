"""The hooks of a run's observers.

Calls the hooks that observers override and drops an observer that raises. Does not know what happens in a run.
"""

from collections.abc import Callable, Iterable
from typing import Any

from fastrun.document.task import Task
from fastrun.outcome import Outcome, Start
from fastrun.protocols import Observer

# By hook, the methods of which an observer overrides one if the hook concerns it.
_HOOKS: dict[str, tuple[str, ...]] = {
    "run_started": ("run_started",),
    "task_started": ("task_started",),
    "task_output": ("task_output",),
    "task_ended": ("task_ended",),
    "tasks_ran": ("tasks_ran", "task_started", "task_ended"),
    "run_ended": ("run_ended",),
}


class Hooks:
    """The observers of a run, by the hooks that they override."""

    def __init__(self, observers: Iterable[Observer], warn: Callable[[str], None]) -> None:
        """``warn``: takes one line about an observer that is dropped."""
        self._observers = list(observers)
        self._warn = warn
        self._find_methods()

    @property
    def congested(self) -> bool:
        """Return whether an observer is behind."""
        try:
            for observer in self._observers:
                if observer.congested:
                    return True
        except Exception:
            # Snippets' threads ask this too; only a hook drops its observer, and only in the thread of the loop.
            pass
        return False

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook of every observer that overrides it."""
        for observer, method in self._methods[hook]:
            try:
                method(*arguments)
            except Exception as error:
                self._drop(observer, error)

    def tell(self, hook: str, number: int, task: Task, what: Start | Outcome) -> None:
        """Do the same for ``task_started`` or ``task_ended``, which nearly all calls are, in half the time."""
        for observer, method in self._methods[hook]:
            try:
                method(number, task, what)
            except Exception as error:
                self._drop(observer, error)

    def _drop(self, observer: Observer, error: Exception) -> None:
        self._observers.remove(observer)
        self._find_methods()
        self._warn(f"{type(observer).__name__} failed and no longer watches: {error!r}")

    def _find_methods(self) -> None:
        self._methods: dict[str, list[tuple[Observer, Callable[..., None]]]] = {
            hook: [
                (observer, getattr(observer, hook))
                for observer in self._observers
                if any(getattr(type(observer), name, None) is not getattr(Observer, name) for name in names)
            ]
            for hook, names in _HOOKS.items()
        }

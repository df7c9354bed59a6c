"""fastrun runs a document of shell commands and Python snippets as concurrently as it may.

The public names; each is imported when it is first used, so that ``fastrun --help`` loads no event loop.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastrun.api import run, run_async
    from fastrun.document.problems import SpecError
    from fastrun.document.task import Task
    from fastrun.journal.records import JournalError
    from fastrun.loading import load
    from fastrun.observers.terminal.console import Console
    from fastrun.outcome import Cause, Outcome, Report, Result, Start, Status, Usage
    from fastrun.plan.selection import Selection
    from fastrun.protocols import Observer
    from fastrun.settings import RunSettings

__version__ = "0.2.0"

__all__ = [
    "Cause",
    "Console",
    "JournalError",
    "Observer",
    "Outcome",
    "Report",
    "Result",
    "RunSettings",
    "Selection",
    "SpecError",
    "Start",
    "Status",
    "Task",
    "Usage",
    "__version__",
    "load",
    "run",
    "run_async",
]

# By module, the public names that it holds.
_HOMES = {
    "fastrun.api": ("run", "run_async"),
    "fastrun.document.problems": ("SpecError",),
    "fastrun.document.task": ("Task",),
    "fastrun.journal.records": ("JournalError",),
    "fastrun.loading": ("load",),
    "fastrun.observers.terminal.console": ("Console",),
    "fastrun.outcome": ("Cause", "Outcome", "Report", "Result", "Start", "Status", "Usage"),
    "fastrun.plan.selection": ("Selection",),
    "fastrun.protocols": ("Observer",),
    "fastrun.settings": ("RunSettings",),
}


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

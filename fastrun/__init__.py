"""fastrun runs a document of shell commands and Python snippets as concurrently as it may.

The public names; each is imported when it is first used, so that ``fastrun --help`` loads no event loop.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastrun.api import load, run, run_async
    from fastrun.document.problems import SpecError
    from fastrun.document.task import Task
    from fastrun.journal.records import JournalError
    from fastrun.observers.terminal.console import Console
    from fastrun.outcome import Cause, Outcome, Report, Result, Start, Status, Usage
    from fastrun.plan.selection import Selection
    from fastrun.protocols import Observer
    from fastrun.settings import RunSettings

__version__ = "0.1.0"

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

_HOMES = {
    "Cause": "fastrun.outcome",
    "Console": "fastrun.observers.terminal.console",
    "JournalError": "fastrun.journal.records",
    "Observer": "fastrun.protocols",
    "Outcome": "fastrun.outcome",
    "Report": "fastrun.outcome",
    "Result": "fastrun.outcome",
    "RunSettings": "fastrun.settings",
    "Selection": "fastrun.plan.selection",
    "SpecError": "fastrun.document.problems",
    "Start": "fastrun.outcome",
    "Status": "fastrun.outcome",
    "Task": "fastrun.document.task",
    "Usage": "fastrun.outcome",
    "load": "fastrun.api",
    "run": "fastrun.api",
    "run_async": "fastrun.api",
}


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)

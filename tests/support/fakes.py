"""Stand-ins for the parts of a run that a test holds in its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastrun import Observer, Outcome, Report, Start, Task

if TYPE_CHECKING:
    from collections.abc import Sequence


class Recorder(Observer):
    """Keeps all events: (hook, task name, what came with it)."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.output: dict[tuple[str, int], bytes] = {}
        self.behind = False
        self.run: Any = None
        self.executor: Any = None

    @property
    def congested(self) -> bool:
        return self.behind

    def run_started(self, tasks: Sequence[Task]) -> None:
        self.events.append(("run_started", len(tasks)))

    def task_started(self, task: Task, start: Start) -> None:
        self.events.append(("task_started", task.name))

    def task_output(self, task: Task, stream: int, data: bytes) -> None:
        self.events.append(("task_output", task.name, stream, data))
        key = (task.name, stream)
        self.output[key] = self.output.get(key, b"") + data

    def task_ended(self, task: Task, outcome: Outcome) -> None:
        self.events.append(("task_ended", task.name, outcome.status.label, outcome.reason))

    def run_ended(self, report: Report) -> None:
        self.events.append(("run_ended", report.exit_code))

    def out(self, name: str) -> str:
        return self.output.get((name, 1), b"").decode()

    def err(self, name: str) -> str:
        return self.output.get((name, 2), b"").decode()

    def place(self, hook: str, name: str) -> int:
        """The position of an event."""
        return next(i for i, event in enumerate(self.events) if event[:2] == (hook, name))

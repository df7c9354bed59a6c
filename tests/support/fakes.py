"""Stand-ins for the parts of a run that a test holds in its hands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastrun import Observer, Outcome, Report, Start, Status, Task
from fastrun.outcome import FIRST_START
from fastrun.protocols import Job

if TYPE_CHECKING:
    from collections.abc import Sequence


OK = Outcome(Status.OK)


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

    def task_started(self, number: int, task: Task, start: Start) -> None:
        self.events.append(("task_started", task.name))

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:
        self.events.append(("task_output", task.name, stream, data))
        key = (task.name, stream)
        self.output[key] = self.output.get(key, b"") + data

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
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


class OutOfTime(Recorder):
    """Has the time of the first task be over once it has printed something."""

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:
        super().task_output(number, task, stream, data)
        if number == 0:
            asyncio.get_running_loop().call_soon(self.run._deadlines._time_is_over, 0)


class Started(Recorder):
    """Also keeps why each task that started did, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.why: dict[str, str] = {}

    def task_started(self, number: int, task: Task, start: Start) -> None:
        super().task_started(number, task, start)
        self.why[task.name] = start.why


class Told:
    """The events of an executor: keeps what it is told."""

    congested = False

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.changes = 0

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def slots_changed(self) -> None:
        self.changes += 1


class HandExecutor:
    """Runs nothing: the test ends each task."""

    longest_chain = 64

    def __init__(self, slots: int = 1_000) -> None:
        self.slots = slots
        # By the name of the task that runs: what is left of its chain, itself first.
        self.running: dict[str, list[Job]] = {}
        self.calls: list[object] = []
        self.recalled: set[str] = set()
        self.refuse = 0

    def open(self, events) -> None:
        self.events = events
        self.calls.append("open")

    async def start(self, chains) -> None:
        for chain in chains:
            self.begin(list(chain))

    def begin(self, chain) -> None:
        number, task = chain[0]
        if self.refuse:
            self.refuse -= 1
            self.events.task_ended(number, None)
        else:
            self.events.task_started(number, FIRST_START)
            self.running[task.name] = chain

    def recall(self) -> None:
        self.recalled = set(self.running)

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        self.calls.append(("interrupt", force) if number is None else ("interrupt", number, force))
        if number is None:
            self.recall()
        if force and number is None:
            for name in list(self.running):
                self.end(name, Outcome(Status.INTERRUPTED))

    def suspend(self, *, resume: bool) -> None:
        self.calls.append(("suspend", resume))

    async def close(self) -> None:
        self.calls.append("close")

    def end(self, name: str, outcome: Outcome = OK) -> None:
        (number, _), *rest = self.running.pop(name)
        self.events.task_ended(number, outcome)
        if rest and outcome.status is Status.OK:
            if name in self.recalled:
                self.events.task_ended(rest[0][0], None)
            else:
                self.begin(rest)


class HandJournal:
    """Records nothing before the test says so."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, int]] = []
        self.written = 0
        self.error: OSError | None = None
        self.report = None

    def open(self, on_change) -> None:
        self.changed = on_change

    def task_started(self, number, start) -> None:
        self.noted.append(("started", number))

    def task_ended(self, number, outcome) -> int:
        self.noted.append((outcome.status.label, number))
        return len(self.noted)

    def flush(self) -> int:
        if self.error is not None:
            raise self.error
        return self.written

    def close(self, report) -> None:
        self.report = report
        self.flush()

    def record(self, count: int = 1_000) -> None:
        self.written = count
        self.changed()


class Starts(Recorder):
    """Keeps what tasks are said to have waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.held_by: dict[str, str] = {}

    @property
    def detailed(self) -> bool:
        return True

    def task_started(self, number, task, start) -> None:
        super().task_started(number, task, start)
        self.held_by[task.name] = start.held_by

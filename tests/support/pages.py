"""Pages about runs that nobody ran, told to the observers on a clock of the test's own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fastrun import Cause, Outcome, Report, Start, Status, Task
from fastrun.observers.files.html.report import HtmlReport
from fastrun.observers.files.output import OutputFile
from fastrun.observers.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

OK = Outcome(Status.OK)
FAILED = Outcome(Status.FAILED, Cause.EXIT, 1)


class Story:
    """A run as it is told: ``start``, ``prints`` and ``end`` tasks at a moment each, then ``write`` the page."""

    def __init__(self, path: Path, tasks: Sequence[Task], title: str = "story.json") -> None:
        self.path = path
        self.tasks = tasks
        self.now = 0.0
        self._numbers = {task.name: number for number, task in enumerate(tasks)}
        self._outcomes: dict[str, Outcome] = {}
        self.timeline = Timeline(clock=lambda: self.now, wall=lambda: 1e9)
        self.page = HtmlReport(OutputFile(str(path)), self.timeline, title)
        self._tell(lambda observer: observer.run_started(tasks))

    def _tell(self, what: Callable[[Any], None]) -> None:
        for observer in (self.timeline, self.page):
            what(observer)

    def _numbered(self, name: str) -> tuple[int, Task]:
        return self._numbers[name], self.tasks[self._numbers[name]]

    def start(self, moment: float, name: str, start: Start = Start()) -> None:  # noqa: B008  # it cannot be changed
        self.now = moment
        self._tell(lambda observer: observer.task_started(*self._numbered(name), start))

    def prints(self, name: str, data: bytes) -> None:
        self.page.task_output(*self._numbered(name), 1, data)

    def end(self, moment: float, name: str, outcome: Outcome = OK) -> None:
        self.now = moment
        self._outcomes[name] = outcome
        self._tell(lambda observer: observer.task_ended(*self._numbered(name), outcome))

    def skip(self, moment: float, name: str, root: str) -> None:
        """``root``: the task that failed, which may be another than those of the page."""
        number = self._numbers.get(root)
        self.end(moment, name, Outcome(Status.SKIPPED, Cause.DEPENDENCY, root, number, attempt=0, attempts=0))

    def run(self, began: float, ended: float, name: str, outcome: Outcome = OK) -> None:
        self.start(began, name)
        self.end(ended, name, outcome)

    def write(self, moment: float) -> Path:
        self.now = moment
        outcomes = [self._outcomes[task.name] for task in self.tasks]
        statuses = bytes(outcome.status for outcome in outcomes)
        report = Report(self.tasks, statuses, dict(enumerate(outcomes)), moment)
        self._tell(lambda observer: observer.run_ended(report))
        assert self.page.close() == ""
        return self.path

    def data(self, moment: float) -> dict[str, Any]:
        return data_of(self.write(moment))


def data_of(path: Path) -> dict[str, Any]:
    """What a page holds, read as a browser would."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert len(found) == 1
    data: dict[str, Any] = json.loads(found[0])
    return data


def column(data: dict[str, Any], name: str) -> list[Any]:
    """A value per task."""
    values = data["tasks"][name]
    return [values["values"][code] for code in values["codes"]] if isinstance(values, dict) else values


def exec_task(name: str, *dependencies: str, command: str = "true", **more: Any) -> Task:
    return Task(name, "exec", command, list(dependencies), **more)

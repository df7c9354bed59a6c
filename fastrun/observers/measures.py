"""What is measured of a run for its report: how long the last attempts took, what they used and printed.

Knows the clock. An embedded run always has this observer, so it does as little as it can for each task.
"""

import time
from collections.abc import Callable

from fastrun.document.task import Task
from fastrun.observers.files.tails import Tails
from fastrun.outcome import Measures, Outcome, Report, Start, Usage
from fastrun.protocols import Observer

# Bytes of all tasks together that are more than there can be: each task has a limit of its own.
_ALL = 1 << 62


class Measuring(Observer):
    """Adds ``measures`` to the report."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds that only grow."""
        self._clock = clock
        self._began: dict[int, float] = {}
        self._durations: dict[int, float] = {}
        self._usages: dict[int, Usage] = {}

    @property
    def detailed(self) -> bool:
        """True: what processes used is measured."""
        return True

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """Note when an attempt began."""
        self._began[number] = self._clock() - start.ago

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:  # noqa: ARG002
        """Note how long an attempt took, if there was one."""
        began = self._began.pop(number, None)
        if began is not None:
            self._durations[number] = max(0.0, self._clock() - outcome.ago - began)
            if outcome.usage is not None:
                self._usages[number] = outcome.usage

    def run_ended(self, report: Report) -> None:
        """Add the measures."""
        report.measures = Measures(self._durations, self._usages, {})


class MeasuringOutput(Measuring):
    """Adds the end of what each task printed, too."""

    def __init__(self, most: int) -> None:
        """``most``: bytes that are kept of a task."""
        super().__init__()
        self._tails = Tails(each=most, running=_ALL, ended=_ALL)

    def task_started(self, number: int, task: Task, start: Start) -> None:
        """Keep the output of this attempt, without that of earlier ones."""
        super().task_started(number, task, start)
        self._tails.begin(number, task)

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:  # noqa: ARG002
        """Keep the end, both streams in the order in which it came."""
        self._tails.add(number, data)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        """Keep what the last attempt printed."""
        super().task_ended(number, task, outcome)
        self._tails.end(number, keep=outcome.retry_in is None)

    def run_ended(self, report: Report) -> None:
        """Add the measures."""
        outputs = {number: tail.data for number, tail in self._tails.kept.items()}
        report.measures = Measures(self._durations, self._usages, outputs)

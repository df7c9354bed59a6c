"""What the runner, the executors and the observers agree on.

Stands beside the runner, who calls all of it; knows none of those who implement it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from fastrun.document.task import Task
from fastrun.outcome import Outcome, Report, Start

STDOUT = 1
STDERR = 2


# The variable that tells a command which attempt it is.
ATTEMPT = "FASTRUN_ATTEMPT"

# A task's number in the document, and the task.
Job = tuple[int, Task]

# Tasks of which each, once it is ok, is followed by the next one.
Chain = Sequence[Job]

# Seconds after which a chain is not gone on with. What is left goes back into the queue, where others may come first.
CHAIN_SECONDS = 0.01


class Events(Protocol):
    """What an executor tells the runner of tasks, by their numbers. Called in the thread of the loop."""

    @property
    def congested(self) -> bool:
        """Whether those who take the output are behind: an executor then stops reading more."""
        ...

    def task_started(self, number: int, start: Start) -> None:
        """Before any output of the task. The runner counts the attempts, not the executor."""
        ...

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Some bytes of the task's STDOUT or STDERR, cut anywhere."""
        ...

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Once for each task of a chain up to the first that is not ok. None: not started, it goes back.

        INTERRUPTED: only after ``interrupt``.
        """
        ...

    def slots_changed(self) -> None:
        """There may be more slots than when a task last ended."""
        ...

    def warning(self, text: str) -> None:
        """One line for the user."""
        ...


class Executor(Protocol):
    """Runs tasks of one type."""

    @property
    def slots(self) -> int:
        """How many tasks it may have at present, running or about to."""
        ...

    def open(self, events: Events) -> None:
        """Begin, inside the running loop."""
        ...

    async def start(self, chains: Sequence[Chain]) -> None:
        """Start chains of tasks, each of which takes one slot. What becomes of them is told to the events."""
        ...

    def recall(self) -> None:
        """Give back all tasks that have not started: those that wait, and those behind a running one in its chain."""
        ...

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Ask a task that runs to end; with ``force`` make an end of it, and of what it left behind.

        None: all tasks, and nothing more is started from then on.
        """
        ...

    def suspend(self, *, resume: bool) -> None:
        """Stop the processes of all tasks, for this one is about to be stopped; or let them go on."""
        ...

    async def close(self) -> None:
        """End what outlived its task and give everything back."""
        ...


class Journal(Protocol):
    """Keeps what happens to tasks, for another run to go on from there. Nothing is acted on before it is recorded."""

    def open(self, on_change: Callable[[], object]) -> None:
        """Begin. ``on_change``: to be called, in any thread, when ``flush`` would say something new by itself."""
        ...

    def task_started(self, number: int, start: Start) -> None:
        """Note it, as for ``Observer``."""
        ...

    def task_ended(self, number: int, outcome: Outcome) -> int:
        """Note it, for tasks that are skipped too. Returns a number that grows, see ``flush``."""
        ...

    def flush(self) -> int:
        """Record what was noted. Returns up to which number that is done. Raises OSError if it cannot be."""
        ...

    def close(self, report: Report) -> None:
        """Note how the run ended, and return when all is recorded. Raises OSError if it cannot be."""
        ...


class Observer:
    """Watches a run. Override what is of interest; a hook that is not overridden costs nothing.

    All hooks are called in the thread of the loop. A hook that raises takes its observer out of the run.
    ``number``: the position of the task in ``tasks``, see ``run_started``.
    """

    @property
    def congested(self) -> bool:
        """Whether it has more unwritten output than it cares to hold: the tasks are slowed meanwhile."""
        return False

    @property
    def detailed(self) -> bool:
        """Whether it wants to know what commands used, which costs each of them some microseconds."""
        return False

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Once, before anything else. ``tasks``: in the order of the document."""

    def task_started(self, number: int, task: Task, start: Start) -> None:
        """The task runs now, for the first time or again. Not called for tasks that are skipped."""

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:
        """Some bytes of the task's STDOUT or STDERR, cut anywhere.

        Processes that a task leaves behind may write after its end.
        """

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        """Once for each task, skipped ones too, and once for each attempt that is followed by another."""

    def run_ended(self, report: Report) -> None:
        """Once, after everything else."""

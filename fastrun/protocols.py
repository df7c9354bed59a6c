"""The protocols between the runner and executors, observers and journals.

Stands beside the runner, which calls all of them. Knows no implementation.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from fastrun.document.task import Task
from fastrun.outcome import FIRST_START, OK, Outcome, Report, Start

STDOUT = 1
STDERR = 2


# The environment variable that holds the number of a command's attempt.
ATTEMPT = "FASTRUN_ATTEMPT"

# A task's number in the document, and the task.
Job = tuple[int, Task]

# Tasks that run one after the other, each once the task before it is ok.
Chain = Sequence[Job]

# Seconds after which no further task of a chain starts. The rest goes back into the queue, where other tasks may come
# first.
CHAIN_SECONDS = 0.01


class Events(Protocol):
    """The runner as an executor sees it. Tasks are given by number. Called in the thread of the loop."""

    @property
    def congested(self) -> bool:
        """Return whether observers are behind: an executor then reads no more output. Any thread may ask."""
        ...

    def task_started(self, number: int, start: Start) -> None:
        """Note that an attempt has started, before any of its output. The executor leaves its number to the runner."""
        ...

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        """Take some bytes of the task's STDOUT or STDERR, cut anywhere."""
        ...

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        """Note how a task has ended: each task of a chain, up to the first that is not ok.

        None: it has not started, and goes back into the queue. INTERRUPTED: only after ``interrupt``.
        """
        ...

    def tasks_ran(self, numbers: Sequence[int]) -> None:
        """Note that tasks have started and are ok, each before the next, without output between.

        The same as ``task_started`` and ``task_ended`` for each, in half the time for snippets of a microsecond.
        """
        ...

    def slots_changed(self) -> None:
        """Note that there may be more slots than when a task last ended."""
        ...

    def warning(self, text: str) -> None:
        """Tell the user something in one line."""
        ...


def tell_each(events: Events, numbers: Iterable[int]) -> None:
    """Tell what ``tasks_ran`` tells, task by task."""
    for number in numbers:
        events.task_started(number, FIRST_START)
        events.task_ended(number, OK)


class Executor(Protocol):
    """Runs tasks of one type.

    ``longest_chain``: most tasks in a chain, about as many as run in CHAIN_SECONDS.
    """

    longest_chain: int

    @property
    def slots(self) -> int:
        """Return how many tasks it may have at present, running or about to run."""
        ...

    def open(self, events: Events) -> None:
        """Prepare for tasks, in the running loop."""
        ...

    async def start(self, chains: Sequence[Chain]) -> None:
        """Start chains of tasks. Each chain takes one slot. The events are told how its tasks start and end."""
        ...

    def recall(self) -> None:
        """Give back all tasks that have not started: the waiting ones, and the rest of each chain that runs."""
        ...

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Ask a running task to end. With ``force`` kill it, and the processes that it left behind.

        None: all tasks; from then on none starts.
        """
        ...

    def suspend(self, *, resume: bool) -> None:
        """Stop the processes of all tasks before this process is stopped; with ``resume`` let them go on."""
        ...

    async def close(self) -> None:
        """End the processes that outlived their tasks, and release all resources."""
        ...


class Journal(Protocol):
    """Records what happens to tasks, so that another run can go on from there. An end is recorded before it counts."""

    def open(self, on_change: Callable[[], object]) -> None:
        """Begin. ``on_change``: called, in any thread, when ``flush`` has more to return though nothing was noted."""
        ...

    def task_started(self, number: int, start: Start) -> None:
        """Note that an attempt has started."""
        ...

    def task_ended(self, number: int, outcome: Outcome) -> int:
        """Note how a task, also a skipped one, or an attempt has ended. Return the number of the record; it grows."""
        ...

    def flush(self) -> int:
        """Write what was noted. Return the number of the last record that is written. Raise OSError on failure."""
        ...

    def close(self, report: Report) -> None:
        """Note how the run ended, and return when all is written. Raise OSError on failure."""
        ...


class Observer:
    """Watches a run. A subclass overrides the hooks that it needs; the others cost nothing.

    All hooks are called in the thread of the loop. An observer whose hook raises is dropped.
    ``number``: the position of the task in ``tasks``, see ``run_started``.
    """

    @property
    def congested(self) -> bool:
        """Return whether it holds too much unwritten output: meanwhile the tasks are slowed. Any thread may ask."""
        return False

    @property
    def detailed(self) -> bool:
        """Return whether outcomes of commands are to have a ``usage``, which costs each command some microseconds."""
        return False

    @property
    def one_stream(self) -> bool:
        """Return whether it writes both streams to one file.

        Both streams of each command then share one pipe and are told as STDOUT, in the order in which it wrote them.
        """
        return False

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Note that the run starts: once, before all else. ``tasks``: in the order of the document."""

    def task_started(self, number: int, task: Task, start: Start) -> None:
        """Note that an attempt at a task has started. Not called for tasks that are skipped."""

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:
        """Take some bytes of the task's STDOUT or STDERR, cut anywhere.

        Processes that a task leaves behind may write after its end.
        """

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        """Note how a task has ended, also a skipped one, or an attempt that is followed by another: once for each."""

    def tasks_ran(self, numbers: Sequence[int], tasks: Sequence[Task]) -> None:
        """Note that tasks have started and are ok, each before the next: calls the hooks for each of them.

        ``tasks``: all tasks, see ``run_started``.
        """
        for number in numbers:
            self.task_started(number, tasks[number], FIRST_START)
            self.task_ended(number, tasks[number], OK)

    def run_ended(self, report: Report) -> None:
        """Note how the run has ended: once, after all else."""

"""The seats of a cluster, and the commands and news about them: what executor, connection and workers agree on.

A seat is the right to run one task at a time on a worker. The cluster's own scheduler grants it. Knows neither a
network nor a scheduler.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fastrun.document.script import script_text
from fastrun.document.task import Task
from fastrun.protocols import Events, Job

# The resources that a task needs: pairs of name and amount, sorted by name.
Resources = tuple[tuple[str, float], ...]

# The number of a task, and the properties of the task that a worker needs.
Packed = tuple[Any, ...]


class RunTasks(NamedTuple):
    """Run chains of packed tasks in a seat. Return tasks that wait more than ``patience`` seconds behind one task."""

    seat: int
    chains: Sequence[Sequence[Packed]]
    patience: float


class Interrupt(NamedTuple):
    """End a task, by its number, or with None all tasks. ``force``: kill it."""

    number: int | None
    force: bool


class Recall(NamedTuple):
    """Return all tasks that have not started."""


class AcknowledgeFailure(NamedTuple):
    """Note that the client has heard of one more failure on this worker. It sent all later commands after that."""


class Release(NamedTuple):
    """Give up a seat."""

    seat: int


class Close(NamedTuple):
    """End processes that outlived their tasks, and tell when that is done."""


class Leave(NamedTuple):
    """Forget the run: this is the last command."""


Command = RunTasks | Interrupt | Recall | AcknowledgeFailure | Release | Close | Leave

# News that a worker tells: a tuple of the kind and what the comment lists. NamedTuples as for commands would cost 2 us
# and 8 % more bytes for each task, which has two pieces of news, while one command brings many tasks.
STARTED = "started"  # a seat, a task's number
OUTPUT = "output"  # a task's number, a stream, bytes
ENDED = "ended"  # a seat, a task's number, the Outcome, seconds
RETURNED = "returned"  # a seat, the number of a task that has not started
WARNING = "warning"  # a line
CLOSED = "closed"  # nothing

News = tuple[Any, ...]


class Worker(NamedTuple):
    """A worker. ``address``: its name in the cluster. ``label``: its name in a report."""

    address: str
    label: str


class Owner(Protocol):
    """The side that requested seats. Its methods are called in the thread of the loop."""

    def seat_opened(self, seat: int, worker: Worker) -> None:
        """Note that a seat may be used from now on."""
        ...

    def seat_closed(self, seat: int, *, again: bool) -> None:
        """Note that a seat may not be used any more. ``again``: whether it will be opened on another worker."""
        ...

    def news(self, news: News, ago: float = 0.0) -> None:
        """STARTED, ENDED or RETURNED, so many seconds ago."""
        ...

    def lost(self, why: str) -> None:
        """Note that the whole cluster is lost, with all tasks that ran on it."""
        ...

    def request_seats(self) -> None:
        """Request the seats that are missing: there may be room for more."""
        ...


class Cluster(Protocol):
    """The side that grants seats and passes on commands and news."""

    def open(self, events: Events) -> None:
        """Start, inside the running loop. ``events``: told of output and warnings."""
        ...

    def request(self, owner: Owner, resources: Resources) -> int | None:
        """Request a seat. Return its number, None if there are enough seats."""
        ...

    def send(self, worker: str | None, command: Command) -> None:
        """Send a command to a worker, by its address, or to all. Commands to one worker arrive in order."""
        ...

    async def close(self) -> None:
        """End processes that outlived their tasks on all workers, and release all seats."""
        ...


def pack(job: Job, directory: str = "") -> Packed:
    """Return a task as it is sent, without its dependencies, which may be many.

    ``directory``: the run's. With a script goes the source that is in it, as the worker may not have the file.
    Variables that count as inputs go with the task: it must see the values that are recorded.
    """
    number, task = job
    env = None if task.env is None else dict(task.env)
    if task.env_inputs:
        env = {**{name: os.environ[name] for name in task.env_inputs if name in os.environ}, **(env or {})}
    source = task.arguments if task.script is None else script_text(os.path.join(directory, task.script))
    what = source, task.cwd, env, task.timeout, task.detach, task.script, task.shell
    return number, task.name, task.type, *what


def unpack(packed: Sequence[Any], directory: str | None) -> Job:
    """Return a packed task. ``directory``: where commands run, None for the directory of this process.

    The ``arguments`` of a task with a script are the source that was in it, if it could be read.
    """
    number, name, type_, arguments, cwd, env, timeout, detach, script, shell = packed
    # On their way tuples have become lists.
    if not isinstance(arguments, str):
        arguments = tuple(arguments)
    if shell is not None:
        shell = tuple(shell)
    if directory is not None:
        if type_ == "exec":
            cwd = directory if cwd is None else os.path.join(directory, cwd)
        if script is not None:
            script = os.path.join(directory, script)
    return number, Task(name, type_, arguments, (), cwd, env, timeout, detach, script=script, shell=shell)


def resources_of(task: Task) -> Resources:
    """Return the resources that a task needs."""
    wanted: Mapping[str, float] = task.resources or {}
    return tuple(sorted(wanted.items()))


def is_remote(task: Task) -> bool:
    """Return whether a task runs on a worker if there is a cluster."""
    return (task.where or ("cluster" if task.type == "exec" else "local")) == "cluster"

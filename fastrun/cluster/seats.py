"""What the executor of a cluster and those who hold the cluster agree on: seats, commands and news.

A seat is a place on a worker, which the cluster's own scheduler grants, and in which one task runs at a time. Stands
beside the executor; knows neither a network nor a scheduler.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fastrun.document.task import Task
from fastrun.protocols import Events, Job

# What a worker is told, first in a tuple. Behind it:
RUN = "run"  # a seat, chains of packed tasks, seconds after which what waits behind one of them comes back
INTERRUPT = "interrupt"  # a task's number or None for all, whether with force
RECALL = "recall"  # nothing: what has not started comes back
HEARD = "heard"  # nothing: of one more failure there
RELEASE = "release"  # a seat
CLOSE = "close"  # nothing: what outlived its task is ended
LEAVE = "leave"  # nothing: this was the last word

# What it tells, first in a tuple. Behind it:
STARTED = "started"  # a seat, a task's number
OUTPUT = "output"  # a task's number, a stream, bytes
ENDED = "ended"  # a seat, a task's number, the Outcome, seconds
RETURNED = "returned"  # a seat, a task's number: it has not started
WARNING = "warning"  # a line
CLOSED = "closed"  # nothing

# Resources that a task needs, by name, in a fixed order.
Resources = tuple[tuple[str, float], ...]

Command = tuple[Any, ...]
News = tuple[Any, ...]

# A task's number and, of the task, what a worker needs to know.
Packed = tuple[Any, ...]


class Worker(NamedTuple):
    """``address``: what the cluster knows it by. ``label``: what it is called in a report."""

    address: str
    label: str


class Owner(Protocol):
    """Who asked for seats. Called in the thread of the loop."""

    def seat_opened(self, seat: int, worker: Worker) -> None:
        """It may be used from now on."""
        ...

    def seat_closed(self, seat: int, *, again: bool) -> None:
        """It may not be used any more: its worker was lost. ``again``: it will be opened somewhere else."""
        ...

    def news(self, news: News, ago: float = 0.0) -> None:
        """STARTED, ENDED or RETURNED, so many seconds ago."""
        ...

    def lost(self, why: str) -> None:
        """The whole cluster is lost, with all that ran on it."""
        ...

    def look(self) -> None:
        """There may be room for more seats."""
        ...


class Cluster(Protocol):
    """Who grants seats and passes words on."""

    def open(self, events: Events) -> None:
        """Begin, inside the running loop. ``events``: who is told of output and warnings."""
        ...

    def request(self, owner: Owner, resources: Resources) -> int | None:
        """Ask for a seat. Returns its number, None if there are enough."""
        ...

    def send(self, worker: str | None, command: Command) -> None:
        """Tell a worker, by its address, or all of them. What one is told arrives in order."""
        ...

    async def close(self) -> None:
        """End what outlived its task everywhere, and let go of all seats."""
        ...


def pack(job: Job) -> Packed:
    """A task as it is sent: nothing of what it depends on, which may be much."""
    number, task = job
    env = None if task.env is None else dict(task.env)
    return number, task.name, task.type, task.arguments, task.cwd, env, task.timeout, task.detach


def unpack(packed: Sequence[Any], directory: str | None) -> Job:
    """The task that was packed. ``directory``: where commands run, None for where the process is."""
    number, name, type_, arguments, cwd, env, timeout, detach = packed
    if type_ == "exec" and directory is not None:
        cwd = directory if cwd is None else f"{directory.rstrip('/')}/{cwd}" if not cwd.startswith("/") else cwd
    return number, Task(name, type_, arguments, (), cwd, env, timeout, detach)


def resources_of(task: Task) -> Resources:
    """What a task says of them."""
    wanted: Mapping[str, float] = task.resources or {}
    return tuple(sorted(wanted.items()))


def is_remote(task: Task) -> bool:
    """Whether a task runs on a worker when there is a cluster."""
    return (task.where or ("cluster" if task.type == "exec" else "local")) == "cluster"

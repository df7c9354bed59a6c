"""A command as its executor knows it, and what is started for it."""

from typing import NamedTuple

from fastrun.protocols import Job

# Seconds between looks at observers that are behind with the output, and at processes that cannot be watched.
PAUSE = 0.005


class Recipe(NamedTuple):
    """What is started for a task.

    ``variables``: for its environment, beside those of all commands; none of these has the name of the first.
    ``directory``: relative to the run's; None for that itself.
    """

    program: bytes
    arguments: tuple[bytes, ...]
    variables: dict[bytes, bytes]
    directory: bytes | None


class Process:
    """A command that runs, is about to run, or lingers.

    ``held_by``: see ``Start``. ``script``: the path of a file to remove after its end. ``rest``: the number of the task
    that follows in its chain, where the engine was not given that task. ``pid``: 0 before its start. ``open``: whether
    its output may still be open. ``interrupted``: whether it was asked to end. ``exited``: whether its exit has been
    told.
    """

    __slots__ = ("exited", "held_by", "interrupted", "number", "open", "pid", "recipe", "rest", "script", "task")

    def __init__(self, job: Job, recipe: Recipe, script: str | None) -> None:
        self.number, self.task = job
        self.recipe = recipe
        self.script = script
        self.held_by = "slot"
        self.rest: int | None = None
        self.pid = 0
        self.open = True
        self.interrupted = False
        self.exited = False

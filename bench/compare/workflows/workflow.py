"""A workflow of science: tasks with their durations and parents."""

from typing import NamedTuple

from bench.generators import Document


class Workflow(NamedTuple):
    """Tasks that are numbers from 0 in the order of the file. ``parents``: for each, those it depends on."""

    title: str
    names: list[str]
    seconds: list[float]
    parents: list[list[int]]


# Seconds. A `sleep` shorter than this is shorter than what starting it takes, and says nothing.
SHORTEST = 0.0001


def document(workflow: Workflow) -> Document:
    """A document in which each task sleeps for its seconds, to the microsecond, and depends on its parents."""
    tasks = []
    for name, seconds, parents in zip(workflow.names, workflow.seconds, workflow.parents, strict=True):
        command = f"sleep {seconds:.6f}" if seconds >= SHORTEST else "true"
        dependencies = [workflow.names[parent] for parent in parents]
        tasks.append({"name": name, "type": "exec", "arguments": command, "dependencies": dependencies})
    return {"tasks": tasks}

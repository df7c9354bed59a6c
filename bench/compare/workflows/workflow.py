"""A workflow of science: tasks with their durations and parents."""

from typing import NamedTuple

from bench.generators import Document


class Workflow(NamedTuple):
    """Tasks, numbered from 0 in the order of the file. ``parents``: for each task the tasks that it depends on."""

    title: str
    names: list[str]
    seconds: list[float]
    parents: list[list[int]]


# Fewest seconds of a `sleep`. Starting a shorter one takes longer than the sleep itself.
SHORTEST = 0.0001


def document(workflow: Workflow) -> Document:
    """Return a document in which each task sleeps for its seconds, to the microsecond, and depends on its parents."""
    tasks = []
    for name, seconds, parents in zip(workflow.names, workflow.seconds, workflow.parents, strict=True):
        command = f"sleep {seconds:.6f}" if seconds >= SHORTEST else "true"
        dependencies = [workflow.names[parent] for parent in parents]
        tasks.append({"name": name, "type": "exec", "arguments": command, "dependencies": dependencies})
    return {"tasks": tasks}

"""Prints what a document holds: a list, a drawing, or all about one task.

Knows the graph. Runs nothing, and a plain run does not import it.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence

import orjson

from fastrun.cli.load import load
from fastrun.cli.say import put, usage_error
from fastrun.document.task import Task
from fastrun.plan.graph import Graph
from fastrun.plan.scheduler import order
from fastrun.text import no_such, printable

FORMATS = ("dot", "mermaid", "json")

# Most names that are shown of many.
_NAMES_SHOWN = 10


def show(options: argparse.Namespace) -> int:
    """Print a list, a drawing or one task. Returns the exit code."""
    graph = load(options)
    if options.list:
        return put(f"{line}\n" for line in list_lines(graph))
    if options.graph:
        return put(drawn(graph, options.graph))
    names = [task.name for task in graph.tasks]
    if options.explain not in names:
        raise usage_error(no_such("task", options.explain, names))
    return put(f"{line}\n" for line in explain_lines(graph, options.explain))


def list_lines(graph: Graph) -> Iterator[str]:
    """Yield each task with its description, or the first line of what it does, and its tags."""
    width = min(max((len(task.label) for task in graph.tasks), default=0), 40)
    for task in graph.tasks:
        what = task.description or next((line for line in task.arguments.splitlines() if line.strip()), "")
        tags = f"  [{', '.join(map(printable, task.tags))}]" if task.tags else ""
        yield f"{task.label:<{width}}  {printable(what.strip())}{tags}".rstrip()


def order_lines(graph: Graph, numbers: Iterable[int], *, verbose: bool) -> Iterator[str]:
    """Yield the tasks of these numbers in their order, with ``verbose`` each with what it does."""
    for number in numbers:
        task = graph.tasks[number]
        yield task.label
        for line in task.arguments.splitlines() if verbose else ():
            yield f"    {task.type}: {printable(line)}"


def drawn(graph: Graph, form: str) -> Iterator[str]:
    """Return the tasks and their dependencies as one of FORMATS, in pieces."""
    return {"dot": _dot, "mermaid": _mermaid, "json": _json}[form](graph)


def _edges(graph: Graph) -> Iterator[tuple[int, int]]:
    """Yield each dependency: the task that is needed, and its dependent."""
    for number in range(len(graph)):
        for dependent in graph.dependents[graph.offsets[number] : graph.offsets[number + 1]]:
            yield number, dependent


def _dot(graph: Graph) -> Iterator[str]:
    # https://graphviz.org/doc/info/lang.html: within quotes only the quote and what follows a backslash are special.
    yield "digraph tasks {\n  rankdir=LR;\n  node [shape=box];\n"
    for number, task in enumerate(graph.tasks):
        label = task.label.replace("\\", "\\\\").replace('"', '\\"')
        style = ", style=rounded" if task.type == "eval" else ""
        yield f'  n{number} [label="{label}"{style}];\n'
    for needed, dependent in _edges(graph):
        yield f"  n{needed} -> n{dependent};\n"
    yield "}\n"


def _mermaid(graph: Graph) -> Iterator[str]:
    # https://mermaid.js.org/syntax/flowchart.html: entities stand for what is special.
    yield "flowchart LR\n"
    for number, task in enumerate(graph.tasks):
        label = "".join(c if c.isalnum() or c in " .:_-/" else f"#{ord(c)};" for c in task.label)
        left, right = ("(", ")") if task.type == "eval" else ("[", "]")
        yield f'  n{number}{left}"{label}"{right}\n'
    for needed, dependent in _edges(graph):
        yield f"  n{needed} --> n{dependent}\n"


def _json(graph: Graph) -> Iterator[str]:
    nodes = [{"name": task.name, "type": task.type, "dependencies": list(task.dependencies)} for task in graph.tasks]
    yield orjson.dumps({"tasks": nodes}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def explain_lines(graph: Graph, name: str) -> Iterator[str]:
    """Yield what a task is, its dependencies, its dependents and its position in the order. Raises KeyError."""
    numbers = {task.name: number for number, task in enumerate(graph.tasks)}
    number = numbers[name]
    task = graph.tasks[number]
    yield f"{task.label}: {task.type}{_how(task)}"
    if task.description:
        yield f"  {printable(task.description)}"
    for line in task.arguments.splitlines():
        yield f"    {printable(line)}"
    needs = [[numbers[other] for other in dict.fromkeys(t.dependencies)] for t in graph.tasks]
    dependents = [list(graph.dependents[graph.offsets[n] : graph.offsets[n + 1]]) for n in range(len(graph))]
    for title, edges in (("needs", needs), ("is needed by", dependents)):
        direct = edges[number]
        more = len(_reached(number, edges)) - len(direct)
        beyond = f", and through them {more} more" if more else ""
        yield f"{title} {names_of(graph, direct)}{beyond}"
    before, behind = _longest(number, needs), _longest(number, dependents)
    path = [*reversed(before), number, *behind]
    yield f"longest path through it, {len(path)} tasks: {_path(graph, path)}"
    positions = {task_number: position for position, task_number in enumerate(order(graph), 1)}
    if number in positions:
        none_fails = " and none fails" if len(positions) < len(graph) else ""
        yield f"starts as number {positions[number]} of {len(positions)} when one task runs at a time{none_fails}"
    else:
        yield "starts only when something that it depends on has failed"


def _how(task: Task) -> str:
    said = []
    if task.timeout is not None:
        said.append(f"ended after {task.timeout:g} s")
    if task.retries:
        said.append(f"tried up to {task.retries + 1} times")
    if task.when != "ok":
        said.append("runs when all that it needs has ended" + (", and something failed" * (task.when == "failed")))
    if task.allow_failure:
        said.append("may fail")
    if task.pool is not None:
        said.append(f"in the pool {printable(task.pool)}")
    return f" ({'; '.join(said)})" if said else ""


def names_of(graph: Graph, numbers: Sequence[int]) -> str:
    """Return the tasks of these numbers as text, the first few by name."""
    if not numbers:
        return "nothing"
    shown = ", ".join(graph.tasks[number].label for number in numbers[:_NAMES_SHOWN])
    return shown + (f" and {len(numbers) - _NAMES_SHOWN} more" if len(numbers) > _NAMES_SHOWN else "")


def _path(graph: Graph, numbers: Sequence[int]) -> str:
    labels = [graph.tasks[number].label for number in numbers]
    if len(labels) > 2 * _NAMES_SHOWN:
        labels[_NAMES_SHOWN:-_NAMES_SHOWN] = ["..."]
    return " -> ".join(labels)


def _reached(first: int, edges: Sequence[Iterable[int]]) -> set[int]:
    seen: set[int] = set()
    stack = [first]
    while stack:
        for number in edges[stack.pop()]:
            if number not in seen:
                seen.add(number)
                stack.append(number)
    return seen


def _longest(first: int, edges: Sequence[Sequence[int]]) -> list[int]:
    """Return the longest path along edges that leads away from a task, without itself."""
    reached = _reached(first, edges) | {first}
    # Each behind all that it leads to.
    left = {number: len(edges[number]) for number in reached}
    back: dict[int, list[int]] = {number: [] for number in reached}
    for number in reached:
        for other in edges[number]:
            back[other].append(number)
    ready = [number for number, count in left.items() if not count]
    length: dict[int, int] = {}
    following: dict[int, int] = {}
    for number in ready:
        best = max(edges[number], key=length.__getitem__, default=None)
        length[number] = 0 if best is None else length[best] + 1
        if best is not None:
            following[number] = best
        for other in back[number]:
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    path = []
    while first in following:
        first = following[first]
        path.append(first)
    return path

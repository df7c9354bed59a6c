"""Prints what a document holds: a list, a drawing, or all about one task.

Knows the graph. Runs nothing. A plain run does not import it.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

import orjson

from fastrun.cli.load import foreseen, load
from fastrun.cli.look.names import names_of, path_of
from fastrun.cli.say import put, usage_error
from fastrun.document.task import Task
from fastrun.plan.graph import Graph
from fastrun.plan.scheduler import order
from fastrun.text import no_such, printable

if TYPE_CHECKING:
    from fastrun.journal.resume import Plan


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
    lines = explain_lines(graph, options.explain)
    if options.resume or options.update:
        lines = chain(lines, [_why_line(names.index(options.explain), foreseen(graph, options), options)])
    return put(f"{line}\n" for line in lines)


def _why_line(number: int, plan: "Plan", options: argparse.Namespace) -> str:
    """Return whether a task would run, and why."""
    with_ = f"with --{'update' if options.update else 'resume'} it"
    if number in plan.undecided:
        return f"{with_} {plan.why[number]}"
    if number in plan.why:
        return f"{with_} runs: {plan.why[number]}"
    return f"{with_} {'is up to date' if options.update else 'does not run: ok in the journal'}"


def list_lines(graph: Graph) -> Iterator[str]:
    """Yield a line per task: its name, its description or the first line of its arguments, and its tags."""
    width = min(max((len(task.label) for task in graph.tasks), default=0), 40)
    for task in graph.tasks:
        what = task.description or next((line for line in task.text.splitlines() if line.strip()), "")
        tags = f"  [{', '.join(map(printable, task.tags))}]" if task.tags else ""
        yield f"{task.label:<{width}}  {printable(what.strip())}{tags}".rstrip()


def order_lines(graph: Graph, numbers: Iterable[int], why: Mapping[int, str], *, verbose: bool) -> Iterator[str]:
    """Yield the names of these tasks in the order given, with ``verbose`` each followed by its arguments.

    ``why``: the reasons that stand behind names.
    """
    for number in numbers:
        task = graph.tasks[number]
        yield f"{task.label}  {why[number]}" if number in why else task.label
        for line in task.text.splitlines() if verbose else ():
            yield f"    {task.type}: {printable(line)}"


def drawn(graph: Graph, form: str) -> Iterator[str]:
    """Return the tasks and their dependencies as ``dot``, ``mermaid`` or ``json``, in pieces of text."""
    return {"dot": _dot, "mermaid": _mermaid, "json": _json}[form](graph)


def _edges(graph: Graph) -> Iterator[tuple[int, int]]:
    """Yield each dependency and the task that depends on it."""
    for number in range(len(graph)):
        for dependent in graph.dependents_of(number):
            yield number, dependent


def _dot(graph: Graph) -> Iterator[str]:
    # https://graphviz.org/doc/info/lang.html: within quotes only the quote and the backslash are special.
    yield "digraph tasks {\n  rankdir=LR;\n  node [shape=box];\n"
    for number, task in enumerate(graph.tasks):
        label = task.label.replace("\\", "\\\\").replace('"', '\\"')
        style = ", style=rounded" if task.type == "eval" else ""
        yield f'  n{number} [label="{label}"{style}];\n'
    for needed, dependent in _edges(graph):
        yield f"  n{needed} -> n{dependent};\n"
    yield "}\n"


def _mermaid(graph: Graph) -> Iterator[str]:
    # https://mermaid.js.org/syntax/flowchart.html: special characters are written as entities.
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
    """Yield what a task is, its dependencies, its dependents, and its position in the order.

    Raises KeyError if there is no task of that name.
    """
    numbers = {task.name: number for number, task in enumerate(graph.tasks)}
    number = numbers[name]
    task = graph.tasks[number]
    yield f"{task.label}: {task.type}{_how(task)}"
    if task.description:
        yield f"  {printable(task.description)}"
    for line in task.text.splitlines():
        yield f"    {printable(line)}"
    needed = graph.reverse()
    dependencies = [numbers[other] for other in dict.fromkeys(task.dependencies)]
    for title, direct, edges in (
        ("needs", dependencies, needed),
        ("is needed by", graph.dependents_of(number), graph),
    ):
        more = len(edges.reached([number])) - 1 - len(direct)
        beyond = f", and through them {more} more" if more else ""
        yield f"{title} {names_of(graph, direct)}{beyond}"
    before, behind = (g.longest_path(number, g.longest_paths([1] * len(g))) for g in (needed, graph))
    path = [*reversed(before), *behind[1:]]
    yield f"longest path through it, {len(path)} task{'s' * (len(path) > 1)}: {path_of(graph, path)}"
    starting = order(graph)
    if number in starting:
        none_fails = " and none fails" if len(starting) < len(graph) else ""
        position = starting.index(number) + 1
        yield f"starts as number {position} of {len(starting)} when one task runs at a time{none_fails}"
    else:
        yield "starts only when something that it depends on has failed"


def _how(task: Task) -> str:
    """Return what the keys of a task say about its run, in brackets, or an empty text."""
    said = []
    if task.shell is not None:
        from shlex import join

        said.append(f"run by {printable(join(task.shell))}")
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

"""Documents of any size and shape; ``python -m bench.generators SHAPE N MAKE`` prints one.

The functions are pure: the same arguments give the same document. They know the form of a document and nothing of the
programs that run it, so a document can also be timed by hand, with fastrun or with any other program that reads it.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

import orjson

# Parsed JSON: a dict whose only key, "tasks", holds a list of dicts.
Document = dict[str, Any]

# Returns the type and the arguments of the task with a number.
Make = Callable[[int], tuple[str, str | list[str]]]


def true_command(i: int) -> tuple[str, str]:  # noqa: ARG001
    """Return a command that does nothing: only the cost of running it is measured."""
    return "exec", "true"


def bin_true_command(i: int) -> tuple[str, str]:  # noqa: ARG001
    """Return a command that does nothing in a program that the shell has to start."""
    return "exec", "/bin/true"


def words_command(i: int) -> tuple[str, list[str]]:  # noqa: ARG001
    """Return a command that does nothing in a program that is started without a shell."""
    return "exec", ["/bin/true"]


def pipes_command(i: int) -> tuple[str, str]:  # noqa: ARG001
    """Return a command that needs a shell: two processes, a pipe, redirections."""
    return "exec", "echo a b c | tr a-z A-Z > /dev/null 2>&1"


def sleep_command(i: int) -> tuple[str, str]:  # noqa: ARG001
    """Return a command that sleeps for a second."""
    return "exec", "sleep 1"


def nap_snippet(i: int) -> tuple[str, str]:  # noqa: ARG001
    """Return a snippet that sleeps for half a second."""
    return "eval", "import time; time.sleep(0.5)"


def distinct_snippet(i: int) -> tuple[str, str]:
    """Return a different snippet for each task: each has to be compiled."""
    return "eval", f"x = {i}"


def same_snippet(i: int) -> tuple[str, str]:  # noqa: ARG001
    """Return the same snippet for every task: compiling it once is enough."""
    return "eval", "pass"


def mixed(i: int) -> tuple[str, str]:
    """Return a command for even numbers and a snippet for odd ones."""
    return distinct_snippet(i) if i % 2 else true_command(i)


def wide(n: int, make: Make) -> Document:
    """Return tasks without dependencies."""
    return _document(n, make, lambda _: ())


def deep(n: int, make: Make) -> Document:
    """Return a chain: each task depends on the task before it."""
    return _document(n, make, lambda i: range(max(0, i - 1), i))


def layered(n: int, width: int, fan_in: int, make: Make, seed: int = 0) -> Document:
    """Return layers of ``width`` tasks; each task depends on ``fan_in`` random tasks of the layer before.

    A task depends on the whole layer before if that has at most ``fan_in`` tasks. The last layer may be narrower.
    """
    rng = random.Random(seed)

    def dependencies(i: int) -> Iterable[int]:
        start = i // width * width
        return rng.sample(range(start - width, start), min(fan_in, width)) if start else ()

    return _document(n, make, dependencies)


def diamond(n: int, make: Make) -> Document:
    """Return a source, tasks that depend on it, and a sink that depends on all of them."""

    def dependencies(i: int) -> Iterable[int]:
        return range(1, i) if i > 1 and i == n - 1 else range(min(i, 1))

    return _document(n, make, dependencies)


def binary_tree(n: int, make: Make) -> Document:
    """Return a binary tree with the first task as its root; each task depends on its parent."""
    return _document(n, make, lambda i: ((i - 1) // 2,) if i else ())


def random_dag(n: int, edges_per_task: int, make: Make, seed: int = 0) -> Document:
    """Return tasks that each depend on ``edges_per_task`` random tasks before it, or on all if those are fewer."""
    rng = random.Random(seed)
    return _document(n, make, lambda i: rng.sample(range(i), min(edges_per_task, i)))


def gated(n: int, before: int, make: Make) -> Document:
    """Return tasks that run beside tasks that are in memory and never run.

    The first ``before`` tasks are independent. Task number ``before``, the gate, depends on all of them. It fails after
    a tenth of a second, in which its ``Started`` line is printed. The other tasks depend on the gate.
    """

    def make_gated(i: int) -> tuple[str, str | list[str]]:
        return ("exec", "sleep 0.1; false") if i == before else make(i)

    def dependencies(i: int) -> Iterable[int]:
        if i <= before:
            return range(before) if i == before else ()
        return (before,)

    return _document(n, make_gated, dependencies)


def _document(n: int, make: Make, dependencies: Callable[[int], Iterable[int]]) -> Document:
    names = [f"task{i}" for i in range(n)]
    tasks = []
    for i, name in enumerate(names):
        type_, arguments = make(i)
        task: dict[str, Any] = {"name": name, "type": type_, "arguments": arguments}
        found = [names[number] for number in dependencies(i)]
        # A document written by hand leaves out an empty list.
        if found:
            task["dependencies"] = found
        tasks.append(task)
    return {"tasks": tasks}


MAKES: dict[str, Make] = {
    "true": true_command,
    "bin-true": bin_true_command,
    "words": words_command,
    "pipes": pipes_command,
    "sleep": sleep_command,
    "nap": nap_snippet,
    "distinct": distinct_snippet,
    "same": same_snippet,
    "mixed": mixed,
}

SHAPES = ("wide", "deep", "layered", "diamond", "tree", "random", "gated")


def shaped(
    shape: str, n: int, make: Make, *, width: int = 100, edges: int = 3, before: int = 1000, seed: int = 0
) -> Document:
    """Return a document of one of ``SHAPES``. The keyword arguments are those that only some shapes have."""
    match shape:
        case "wide":
            return wide(n, make)
        case "deep":
            return deep(n, make)
        case "layered":
            return layered(n, width, edges, make, seed)
        case "diamond":
            return diamond(n, make)
        case "tree":
            return binary_tree(n, make)
        case "random":
            return random_dag(n, edges, make, seed)
        case "gated":
            return gated(n, before, make)
        case _:
            raise ValueError(f"{shape}: no such shape")


def main() -> None:
    """Print the document that the command line describes."""
    parser = argparse.ArgumentParser("python -m bench.generators", description="Print a document of N tasks.")
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("n", type=int, metavar="N", help="number of tasks")
    parser.add_argument("make", choices=MAKES, help="what each task does")
    parser.add_argument("--width", type=int, default=100, help="tasks in a layer of 'layered' (default: 100)")
    parser.add_argument(
        "--edges", type=int, default=3, help="dependencies of a task, 'layered' and 'random' (default: 3)"
    )
    parser.add_argument("--before", type=int, default=1000, help="tasks that 'gated' runs (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of 'layered' and 'random' (default: 0)")
    options = vars(parser.parse_args())
    document = shaped(**{**options, "make": MAKES[options["make"]]})
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()

"""Hypothesis strategies for documents."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.documents import exec_

# Commands and snippets, each with whether it is ok and what it prints on standard output.
BEHAVIOURS: dict[tuple[str, str | tuple[str, ...]], tuple[bool, bytes]] = {
    ("exec", "true"): (True, b""),
    ("exec", "false"): (False, b""),
    ("exec", "exit 3"): (False, b""),
    ("exec", "kill -9 $$"): (False, b""),
    ("exec", "echo a; echo b"): (True, b"a\nb\n"),
    ("exec", "printf 'no end'"): (True, b"no end"),
    ("exec", "echo out; echo err >&2; exit 1"): (False, b"out\n"),
    ("exec", ("printf", "%s,", "a b", "$0", "")): (True, b"a b,$0,,"),
    ("exec", ("sh", "-c", "exit 3")): (False, b""),
    ("eval", "pass"): (True, b""),
    ("eval", "print('x'); print('y')"): (True, b"x\ny\n"),
    ("eval", "print('z', end='')"): (True, b"z"),
    ("eval", "1 / 0"): (False, b""),
    ("eval", "raise StopIteration"): (False, b""),
    ("eval", "raise SystemExit(0)"): (True, b""),
    ("eval", "raise SystemExit(4)"): (False, b""),
}

# With a timeout of TIMEOUT seconds, which none of the others needs as long as.
HANGS = ("exec", "exec sleep 1000")
TIMEOUT = 0.05

# What JSON can hold, often with the keys of a document.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "type", "arguments", "dependencies", "tasks", "cwd", "env", "x", "exec"]), inner
        )
    ),
    max_leaves=12,
)

names = st.text(st.characters(codec="utf-8"), max_size=12)


@st.composite
def documents(draw: st.DrawFn, max_tasks: int = 12, *, hangs: bool = False, memory: int = 0) -> dict[str, Any]:
    """A valid document: tasks in any order, each depending on some that come before it in another order.

    ``hangs``: some of them do, and have a timeout. ``memory``: commands say that they need so many bytes at the most.
    """
    unique = draw(st.lists(names, unique=True, max_size=max_tasks))
    tasks = []
    for number, name in enumerate(unique):
        type_, arguments = draw(st.sampled_from([*BEHAVIOURS, *[HANGS] * 4 * hangs]))
        # Names may come twice: that is harmless.
        dependencies = draw(st.lists(st.sampled_from(unique[:number]), max_size=4)) if number else []
        more: dict[str, Any] = {"timeout": TIMEOUT} if (type_, arguments) == HANGS else {}
        if memory and type_ == "exec" and (parts := draw(st.integers(0, 4))):
            more["memory"] = memory // parts
        item = exec_(name, arguments, *dependencies, **more)
        tasks.append({**item, "type": type_})
    return {"tasks": draw(st.permutations(tasks))}


@st.composite
def graphs(draw: st.DrawFn, max_tasks: int = 30) -> list[list[int]]:
    """The dependencies of each task by number, without a cycle, in any order."""
    size = draw(st.integers(0, max_tasks))
    place = draw(st.permutations(range(size)))
    edges: list[list[int]] = [[] for _ in range(size)]
    for position, task in enumerate(place):
        if position:
            edges[task] = draw(st.lists(st.sampled_from(place[:position]), max_size=4, unique=True))
    return edges

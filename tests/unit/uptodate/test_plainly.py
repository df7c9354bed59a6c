"""The quick look at declared files: it doubts all that is wrong, and nothing in a usual build."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastrun.document.parse import read
from fastrun.document.problems import SpecError
from fastrun.plan.graph import Graph, build
from fastrun.uptodate.plainly import is_plainly_right
from fastrun.uptodate.problems import check

parts = st.sampled_from(["a", "b", ".", "..", "*", "**", "?", "a.c", ".h"])
paths = st.builds(
    lambda some, begin, end: begin + "/".join(some) + end,
    st.lists(parts, min_size=1, max_size=3),
    st.sampled_from(["", "", "./", "/"]),
    st.sampled_from(["", "", "/"]),
)
some_paths = st.lists(paths, max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    tasks = []
    for number in range(draw(st.integers(1, 4))):
        task: dict[str, Any] = {"name": f"t{number}", "type": "exec", "arguments": "true"}
        task |= {"inputs": draw(some_paths), "outputs": draw(some_paths)}
        if draw(st.booleans()):
            task["depfile"] = draw(paths)
        if draw(st.booleans()):
            task["cwd"] = draw(st.sampled_from(["a", "b/..", "/"]))
        if number:
            task["dependencies"] = [f"t{other}" for other in draw(st.sets(st.integers(0, number - 1)))]
        tasks.append(task)
    return {"tasks": tasks}


def graph_of(document: dict[str, Any]) -> Graph:
    return build(read(document, "document"))


def task(name: str, *dependencies: str, **files: Any) -> dict[str, Any]:
    return {"name": name, "type": "exec", "arguments": "true", "dependencies": [*dependencies], **files}


@given(documents())
@example({"tasks": [task("a", outputs=["x"]), task("b", outputs=["x"])]})
@example({"tasks": [task("a", outputs=["x"]), task("b", inputs=["x"])]})
@example({"tasks": [task("a", outputs=["x/y"]), task("b", inputs=["x"])]})
@example({"tasks": [task("a", outputs=["x"]), task("b", inputs=["x/y"])]})
@example({"tasks": [task("a", outputs=["x"]), task("b", outputs=["x/y"])]})
@example({"tasks": [task("a", outputs=["x"]), task("b", inputs=["./x"])]})
@example({"tasks": [task("a", outputs=["x"]), task("b", inputs=["x/"])]})
@example({"tasks": [task("a", outputs=["x/y"]), task("b", inputs=["y"], cwd="x")]})
@example({"tasks": [task("a", outputs=["x"]), task("b", inputs=["."])]})
@example({"tasks": [task("a", depfile="x"), task("b", inputs=["x"])]})
def test_document_with_a_problem_is_doubted(document):
    graph = graph_of(document)
    try:
        check(graph)
    except SpecError:
        assert not is_plainly_right(graph)


@pytest.mark.parametrize(
    "tasks",
    [
        [task("a", inputs=["src/a.c", "a.h"], outputs=["out/a.o"]), task("b", inputs=["src/b.c", "a.h"])],
        [
            task("a", outputs=["x"]),
            task("b", "a", inputs=["x", "y"], outputs=["z"]),
            task("c", "b", "a", inputs=["z", "x"]),
        ],
        [task("a", outputs=["x/y"]), task("b", "a", inputs=["y"], cwd="x")],
        [task("a", inputs=["../x"], outputs=["y"], cwd="z")],
        [task("a", inputs=["/x"], outputs=["/y"]), task("b", "a", inputs=["y"], cwd="/")],
        [task("a", inputs=["x"], outputs=["x"], depfile=".d/x.d")],
        [task("a", depfile="x.d")],
        [task("a"), task("b", inputs=["x"])],
    ],
)
def test_usual_documents_are_plainly_right(tasks):
    graph = graph_of({"tasks": tasks})
    assert is_plainly_right(graph)
    check(graph)


@pytest.mark.parametrize(
    "tasks",
    [
        [task("a", outputs=["x"]), task("b", "a"), task("c", "b", inputs=["x"])],
        [task("a", inputs=["*.c"])],
        [task("a", inputs=["x"]), task("b", inputs=["x/y"])],
        [task("a", inputs=["x"]), task("b", inputs=["/y"])],
        [task("a", inputs=["x\ny"])],
    ],
)
def test_whatever_takes_more_than_comparing_paths_is_doubted(tasks):
    assert not is_plainly_right(graph_of({"tasks": tasks}))

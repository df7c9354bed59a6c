"""What is wrong with declared files: said before anything starts, with its location."""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.problems import SpecError
from fastrun.loading import load_graph
from fastrun.plan.selection import part_of
from fastrun.uptodate import problems
from fastrun.uptodate.declared import covers, is_pattern
from fastrun.uptodate.problems import check_inputs
from tests.support.documents import document, exec_, write_json


def faults(*tasks: dict[str, Any]) -> list[str]:
    """Return what is wrong with a document."""
    try:
        load_graph(document(*tasks))
    except SpecError as error:
        return error.lines
    return []


def makes(name: str, *outputs: str, **more: Any) -> dict[str, Any]:
    return exec_(name, "true", outputs=list(outputs), **more)


def reads(name: str, *inputs: str, after: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return exec_(name, "true", *after, inputs=list(inputs), **more)


# Outputs of two tasks, and what is said of the second.
TWICE = [
    (["x"], ["x"], 'output "x" is made by a too'),
    (["x"], ["y", "./x"], 'output "x" is made by a too'),
    (["x/y"], ["x"], 'output "x" overlaps with "x/y", which a makes'),
    (["x"], ["x/y/z"], 'output "x/y/z" overlaps with "x", which a makes'),
    (["x/y.o"], ["x/*.o"], 'output "x/*.o" overlaps with "x/y.o", which a makes'),
    (["x/*.o"], ["x/y.o"], 'output "x/y.o" overlaps with "x/*.o", which a makes'),
    (["x/*.o"], ["x/*.o"], 'output "x/*.o" is made by a too'),
    (["x"], ["x/*.o"], 'output "x/*.o" overlaps with "x", which a makes'),
    (["x/y/**/z"], ["x"], 'output "x" overlaps with "x/y/**/z", which a makes'),
    (["."], ["x"], 'output "x" overlaps with ".", which a makes'),
    (["/abs/x"], ["/abs/../abs/x/"], 'output "/abs/x" is made by a too'),
    (["../x"], ["../x/y"], 'output "../x/y" overlaps with "../x", which a makes'),
]


@pytest.mark.parametrize(("first", "second", "message"), TWICE)
def test_what_two_tasks_make_is_an_error(first, second, message):
    [line] = faults(makes("a", *first), makes("b", *second))
    position = len(second) - 1
    assert line == f"document: $.tasks[1].outputs[{position}]: {message} (first at document: $.tasks[0].outputs[0])"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["x"], ["y"]),
        (["x"], ["xy"]),
        (["x/y"], ["x/z"]),
        (["x/*.o"], ["x/*.d"]),
        (["x/*.o"], ["y/a.o"]),
        (["x/*.o"], ["x/.a.o"]),
        (["."], ["../x"]),
        (["."], ["/x"]),
        ([".."], ["../../x"]),
        (["a../b"], ["b"]),
    ],
)
def test_tasks_may_make_different_files(first, second):
    assert faults(makes("a", *first), makes("b", *second)) == []
    assert faults(makes("b", *second), makes("a", *first)) == []


def test_a_task_may_name_its_own_files_twice():
    assert faults(makes("a", "x", "x", "./x", "x/*", "x/y", depfile="x", inputs=["x", "x/y"])) == []


def test_a_depfile_is_made_by_one_task():
    [line] = faults(makes("a", "a.o", depfile="a.d"), makes("b", "b.o", depfile="a.d"))
    message = 'depfile "a.d" is made by a too (first at document: $.tasks[0].depfile)'
    assert line == f"document: $.tasks[1].depfile: {message}"


def test_paths_are_compared_as_they_are_from_the_directories_of_the_tasks():
    [line] = faults(makes("a", "x", cwd="out"), makes("b", "../out/x", cwd="sub"))
    assert 'output "out/x" is made by a too' in line
    assert faults(makes("a", "x", cwd="out"), makes("b", "x", cwd="sub")) == []


# An input and an output, and what is said where the reader does not depend on the maker.
RACES = [
    ("x", "x", 'input "x" is made by gen'),
    ("./x", "x", 'input "x" is made by gen'),
    ("x/y", "x", 'input "x/y" contains "x", which is made by gen'),
    ("x", "x/y/z", 'input "x" contains "x/y/z", which is made by gen'),
    (".", "x", 'input "." contains "x", which is made by gen'),
    ("x/*.h", "x/y.h", 'input "x/*.h" contains "x/y.h", which is made by gen'),
    ("**/*.h", "x/y.h", 'input "**/*.h" contains "x/y.h", which is made by gen'),
    ("/x/*.h", "/x/y.h", 'input "/x/*.h" contains "/x/y.h", which is made by gen'),
    ("x/y.h", "x/*.h", 'input "x/y.h" is made by gen'),
    ("x/*.h", "x/*.h", 'input "x/*.h" is made by gen'),
    ("x", "x/*.h", 'input "x" contains "x/*.h", which is made by gen'),
    ("x/*.h", "x", 'input "x/*.h" is made by gen'),
    ("x/y/*.h", "x", 'input "x/y/*.h" is made by gen'),
]


@pytest.mark.parametrize(("path", "made", "message"), RACES)
def test_an_input_that_a_task_makes_on_which_the_reader_does_not_depend_is_an_error(path, made, message):
    gen = makes("gen", made)
    [line] = faults(gen, reads("read", "other", path))
    assert line.startswith("document: $.tasks[1].inputs[1]: ")
    assert line.endswith('; add "gen" to the dependencies')
    assert faults(gen, reads("read", "other", path, after=("gen",))) == []
    between = exec_("between", "true", "gen")
    assert faults(gen, between, reads("read", "other", path, after=("between",))) == []


def test_a_task_that_runs_before_the_maker_reads_what_is_not_made_yet():
    [line] = faults(reads("read", "."), makes("gen", "x", dependencies=["read"]))
    assert line.startswith('document: $.tasks[0].inputs[0]: input "." contains "x"')


@pytest.mark.parametrize(("path", "made"), [("x", "xy"), ("x/*.h", "x/y.c"), (".", "../x"), ("x", "/x"), ("y/*", "x")])
def test_what_no_input_stands_for_needs_no_dependency(path, made):
    assert faults(makes("gen", made), reads("read", path)) == []


def test_each_error_has_its_location_in_the_file(tmp_path):
    tasks = [makes("a", "x"), makes("b", "y", "x"), reads("c", "z", "y")]
    text = '{"tasks": [\n' + ",\n".join(map(json.dumps, tasks)) + "\n]}\n"
    path = write_json(tmp_path, text.encode())
    with pytest.raises(SpecError) as caught:
        load_graph(path)
    rows = text.splitlines()
    x, second_x, y = rows[1].index('"x"') + 1, rows[2].index('"x"') + 1, rows[3].index('"y"') + 1
    assert caught.value.lines == [
        f'{path}:3:{second_x}: output "x" is made by a too (first at {path}:2:{x})',
        f'{path}:4:{y}: input "y" is made by b; add "b" to the dependencies',
    ]


def test_an_input_that_is_not_there_and_that_no_task_makes_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    os.symlink("nowhere", "link")
    tasks = document(
        makes("gen", "made", "folder", "pattern/*.h"),
        reads("a", "there", "gone", "link", "*.none", "made", "folder/x", "pattern/x.h", after=("gen",)),
        reads("b", "../gone/", cwd="sub"),
    )
    graph = load_graph(tasks)
    with pytest.raises(SpecError) as caught:
        check_inputs(graph, range(len(graph)))
    assert caught.value.lines == [
        'document: $.tasks[1].inputs[1]: input "gone" is missing, and no task makes it',
        'document: $.tasks[2].inputs[0]: input "gone" is missing, and no task makes it',
    ]
    check_inputs(graph, [0])


def test_a_task_outside_of_the_selected_part_may_make_an_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = load_graph(document(makes("gen", "made"), reads("a", "made", after=("gen",)), reads("b", "gone")))
    part = part_of(graph, [1, 2])
    check_inputs(part, [0])
    with pytest.raises(SpecError) as caught:
        check_inputs(part, [1])
    assert caught.value.lines == ['document: $.tasks[2].inputs[0]: input "gone" is missing, and no task makes it']


_paths = st.sampled_from(
    ["a", "b", "a/b", "a/c", "a/b/c", "a/*", "a/b/*", "**/c", "a/**", "*", "a/b*", ".", "../a", "/a", "/a/*", "a/?/c"]
)


def _overlap(one: str, other: str) -> bool | None:
    """Return whether two declared paths stand for the same file, None where that is not known: two patterns."""
    if one == other:
        return True
    if is_pattern(one) and is_pattern(other):
        return None
    if is_pattern(one):
        one, other = other, one
    if not is_pattern(other):
        return covers(one, other) or covers(other, one)
    # A pattern for the path, or one that lies in the folder before any file of it is known.
    beginning = other.split("*")[0].split("?")[0]
    return covers(other, one) or covers(one, f"{beginning}x")


@given(st.lists(st.lists(_paths, max_size=3, unique=True), min_size=2, max_size=5))
def test_any_two_tasks_that_make_the_same_are_found(outputs):
    known = [
        _overlap(one, other)
        for first, second in itertools.combinations(outputs, 2)
        for one in first
        for other in second
    ]
    found = faults(*(makes(str(number), *paths) for number, paths in enumerate(outputs)))
    if True in known:
        assert found
    if not any(known):
        assert found == []


@given(st.lists(_paths, min_size=1, max_size=3), st.lists(_paths, min_size=1, max_size=3))
def test_any_race_is_found(inputs, outputs):
    found = faults(makes("gen", *outputs), reads("read", *inputs))
    known = [_overlap(one, other) for one in inputs for other in outputs]
    assert bool(found) is any(known)


@given(st.data())
def test_dependencies_through_other_tasks_count_however_many_tasks_are_searched_at_once(data):
    size = data.draw(st.integers(2, 12))
    edges = [data.draw(st.lists(st.integers(0, number - 1), max_size=2)) if number else [] for number in range(size)]
    read = [data.draw(st.lists(st.integers(0, size - 1), max_size=3, unique=True)) for _ in range(size)]
    tasks = [
        exec_(str(n), "true", *map(str, edges[n]), inputs=[str(path) for path in read[n]], outputs=[str(n)])
        for n in range(size)
    ]
    reached: list[set[int]] = []
    for number in range(size):
        reached.append({number}.union(*(reached[other] for other in edges[number])))
    bad = {(n, entry) for n in range(size) for entry, path in enumerate(read[n]) if path not in reached[n]}
    at_once = problems._AT_ONCE
    problems._AT_ONCE = data.draw(st.integers(1, 4))
    try:
        found = faults(*tasks)
    finally:
        problems._AT_ONCE = at_once
    shown = {f"document: $.tasks[{n}].inputs[{entry}]:" for n, entry in bad}
    assert {line.split(" input ")[0] for line in found if not line.startswith("...")} <= shown
    assert len(found) == min(len(bad), 20)

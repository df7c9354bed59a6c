"""The first reading of a document: bytes to tasks."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.parse import parse, read
from fastrun.document.problems import SpecError
from fastrun.document.task import Document, Task
from fastrun.plan.graph import build
from tests.support.documents import document, eval_, exec_
from tests.support.strategies import documents, json_values

ASSIGNMENT_LIKE = b"""{
    "tasks": [
        {"name": "list", "type": "exec", "arguments": "ls"},
        {"name": "show", "type": "eval", "arguments": "print(1)\\nprint(2)", "dependencies": ["list"]}
    ]
}"""


def contents(found: Document) -> tuple[Any, ...]:
    return found.tasks, list(found.positions), found.problems, found.warnings


def test_a_document_becomes_tasks_in_its_order():
    found = parse(ASSIGNMENT_LIKE, "f.json")
    assert found.tasks == [
        Task("list", "exec", "ls"),
        Task("show", "eval", "print(1)\nprint(2)", ["list"]),
    ]
    assert not found.problems
    assert not found.warnings


def test_cwd_and_env_are_read():
    task = read(document(exec_("a", "x", cwd="sub", env={"K": "v"})), "document").tasks[0]
    assert (task.cwd, task.env) == ("sub", {"K": "v"})


def test_a_process_snippet_may_have_what_a_command_may_have():
    more: dict[str, Any] = {"cwd": "sub", "env": {"K": "v"}, "detach": True, "where": "process"}
    found = read(document(eval_("a", "x"), eval_("b", "x", where="thread"), eval_("c", "x", **more)), "document")
    assert found.tasks[2] == Task("c", "eval", "x", [], **more)
    assert found.special == [2]
    assert not found.problems


def test_a_list_is_a_command_without_a_shell():
    for item in (exec_("a", ["ls", "a b"]), exec_("a", ("ls", "a b")), exec_("a", ["ls", "a b"], cwd=".", colour=1)):
        task = read(document(item), "document").tasks[0]
        assert (task.arguments, task.text, task.source) == (("ls", "a b"), "ls 'a b'", "")


def test_a_shell_is_a_list_or_one_of_four_words():
    shells = ["bash", "sh", ["sh", "-c"], ["bash", "-euo", "pipefail", "-c"]]
    found = read(document(*(exec_(str(number), "x", shell=shell) for number, shell in enumerate(shells))), "document")
    assert [task.shell for task in found.tasks] == [
        ("bash", "-c"),
        None,
        None,
        ("bash", "-euo", "pipefail", "-c"),
    ]
    assert not found.special


def test_a_script_is_read_and_leaves_the_arguments_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").touch()
    tasks = [exec_("a", "true"), {"name": "b", "type": "eval", "script": "a.py"}]
    for found in (read(document(*tasks), "document"), parse(json.dumps(document(*tasks)).encode(), "f")):
        assert not found.problems
        assert found.tasks[1] == Task("b", "eval", "", script="a.py")
        assert found.tasks[1].text == "a.py"
        assert found.special == [1]


@pytest.mark.parametrize(
    ("top", "settings"),
    [
        ({}, {}),
        ({"jobs": 2.0, "keep_going": 0}, {"jobs": 2, "keep_going": 0}),
        ({"jobs": "auto"}, {"jobs": "auto"}),
        ({"max_time": 0.5}, {"max_time": 0.5}),
        ({"max_time": 60}, {"max_time": 60}),
    ],
)
def test_a_document_may_say_settings_of_its_run(top, settings):
    for note in ({}, {"x-note": 1}):
        found = read({**top, **note, **document(exec_("a", "x"))}, "document")
        assert (found.settings, found.problems) == (settings, [])


def test_a_script_survives_a_second_reading(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").touch()
    # An unknown key has the document read again.
    found = read(document({"name": "b", "type": "eval", "script": "a.py", "colour": 1}), "document")
    assert (found.tasks, found.special) == ([Task("b", "eval", "", script="a.py")], [0])


def test_a_byte_order_mark_and_a_schema_key_are_accepted():
    assert parse(b'\xef\xbb\xbf{"$schema": "x", "tasks": []}', "f").tasks == []


def test_a_document_given_as_an_object_is_not_changed():
    given_ = document(exec_("a", "x"), eval_("b", "y", "a"))
    before = json.dumps(given_)
    read(given_, "document")
    assert json.dumps(given_) == before


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_leaves_the_collector_as_it_was(enabled, tmp_path):
    from fastrun import load

    (gc.enable if enabled else gc.disable)()
    try:
        load({"tasks": []})
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


# Texts in which a cut looks right and is not.
cuts = st.text(st.sampled_from('{}[], "\\'), max_size=12) | st.sampled_from(["}, {", '"}, {"', "}],[{", '"tasks": ['])


# What may stand at the top of a document, in usual ways and unusual ones.
TOPS: list[dict[str, Any]] = [
    {},
    {"$schema": "x"},
    {"$schema": "}, {"},
    {"$schema": '"tasks": ['},
    {"$schema": []},
    {"defaults": {"env": {"A": "}, {", "B": '\\"]'}, "tags": ["]", "tasks"], "timeout": 1e3}, "pools": {"a": 1}},
    {"defaults": {"shell": ["bash", "-c"], "retries": 2, "where": "process"}},
    {"defaults": {"where": "nowhere"}},
    {"jobs": 2, "keep_going": 3},
    {"jobs": "auto"},
    {"jobs": 0},
    {"max_time": 1.5e2},
    {"max_time": 0},
]


@given(documents())
def test_any_valid_document_keeps_all_its_tasks(content):
    found = parse(json.dumps(content).encode(), "f.json")
    assert not found.problems
    assert [task.name for task in found.tasks] == [task["name"] for task in content["tasks"]]


@given(
    documents() | st.fixed_dictionaries({"tasks": st.lists(st.builds(exec_, st.text(max_size=3), cuts), max_size=6)}),
    st.sampled_from([None, 1]),
    st.sampled_from(TOPS),
    st.booleans(),
    st.integers(1, 200),
)
def test_a_document_read_in_pieces_is_the_same(content, indent, more, first, piece):
    content = {**more, **content} if first else {**content, **more}
    data = json.dumps(content, indent=indent).encode()
    assert contents(parse(data, "f", piece)) == contents(parse(data, "f", len(data)))


@given(documents(), st.integers(1, 100), st.data())
def test_any_fault_in_a_document_read_in_pieces_is_the_same(content, piece, draw):
    data = json.dumps(content).encode()
    start = draw.draw(st.integers(0, len(data)))
    stop = draw.draw(st.integers(start, len(data)))
    middle = draw.draw(st.sampled_from([b"", b"}", b"{", b"]", b"[", b",", b'"', b"}, {", b"], [", b'], "tasks": [']))
    data = data[:start] + middle + data[stop:]

    def found(size):
        try:
            return contents(parse(data, "f", size))
        except SpecError as error:
            return error.lines

    assert found(piece) == found(len(data))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_a_spec_error(data):
    try:
        build(parse(data, "f"))
    except SpecError as error:
        assert all(line.startswith("f:") for line in error.lines)


@given(st.fixed_dictionaries({"tasks": st.lists(json_values, max_size=4)}) | json_values)
def test_any_json_is_a_document_or_a_spec_error(content):
    for found in (lambda: parse(json.dumps(content).encode(), "f"), lambda: read(content, "f")):
        try:
            build(found())
        except SpecError as error:
            assert error.lines

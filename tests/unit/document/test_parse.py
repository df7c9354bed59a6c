"""Bytes to tasks, and what is wrong with those that are none."""

from __future__ import annotations

import gc
import hashlib
import json
import unicodedata
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document import validator
from fastrun.document.check import compile_schema, load_schema
from fastrun.document.parse import parse, read
from fastrun.document.problems import SpecError
from fastrun.document.task import SCHEMA_PATH, Document, Task
from fastrun.plan.graph import build
from fastrun.text import COLUMNS_SHOWN, printable
from tests.support.documents import document, eval_, exec_
from tests.support.strategies import documents
from tools import make_validator

ASSIGNMENT_LIKE = b"""{
    "tasks": [
        {"name": "list", "type": "exec", "arguments": "ls"},
        {"name": "show", "type": "eval", "arguments": "print(1)\\nprint(2)", "dependencies": ["list"]}
    ]
}"""


def lines_of(data) -> list[str]:
    """The problems of a document, a line each."""
    with pytest.raises(SpecError) as caught:
        build(parse(data, "f.json") if isinstance(data, bytes) else read(data, "document"))
    return str(caught.value).splitlines()


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


@given(documents())
def test_any_valid_document_keeps_all_its_tasks(content):
    found = parse(json.dumps(content).encode(), "f.json")
    assert not found.problems
    assert [task.name for task in found.tasks] == [task["name"] for task in content["tasks"]]


@given(
    documents() | st.fixed_dictionaries({"tasks": st.lists(st.builds(exec_, st.text(max_size=3), cuts), max_size=6)}),
    st.sampled_from([None, 1]),
    st.sampled_from([{}, {"$schema": "x"}, {"$schema": "}, {"}, {"$schema": '"tasks": ['}, {"$schema": []}]),
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


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"tasks": [}', "f.json:1:12: invalid JSON: unexpected character, expected a JSON value"),
        (b"", "f.json:1:1: invalid JSON: Input is a zero-length, empty document"),
        (b'{"\xc3\xa9":\n ["\xc3\xa9\xff"]}', "f.json:2:5: invalid JSON: not UTF-8: byte 0xff"),
        (b"[" * 100_000, "f.json:1:1026: invalid JSON: depth limit exceeded"),
        (b'{"a": NaN}', "f.json:1:7: invalid JSON: unexpected character, expected a JSON value"),
        (b'{"a": "\\ud800"}', "f.json:1:8: invalid JSON: no low surrogate in string"),
        (b"9" * 5000, "f.json:1:1: invalid JSON: number is infinity when parsed as double"),
        (b'{"tasks": []} x', "f.json:1:15: invalid JSON: unexpected content after document"),
    ],
)
def test_invalid_json_is_one_line_with_its_place(data, line):
    assert lines_of(data) == [line]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"[]", "f.json:1:1: the document must be an object, not an array"),
        (b"\n {}", 'f.json:2:2: "tasks" is missing'),
        (b'{"tasks": {}}', 'f.json:1:11: "tasks" must be an array, not an object'),
        (b'{"tasks": [null]}', "f.json:1:12: a task must be an object, not null"),
        (b'{"tasks": [\n{"name": "a", "type": "exec"}]}', 'f.json:2:1: "arguments" is missing'),
        (
            b'{"tasks": [{"name": 1, "type": "exec", "arguments": ""}]}',
            'f.json:1:21: "name" must be a string, not a number',
        ),
        (
            b'{"tasks": [{"name": "", "type": "shell", "arguments": ""}]}',
            'f.json:1:33: "type" must be "exec" or "eval", not "shell"',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "dependencies": ["a", true]}]}',
            'f.json:1:80: an entry of "dependencies" must be a string, not a boolean',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "a\\u0000b"}]}',
            'f.json:1:54: "arguments" must not contain NUL: the shell stops there',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "cwd": ""}]}',
            'f.json:1:65: "cwd" must be a path, not empty and without NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "env": {"A=B": "x"}}]}',
            'f.json:1:66: "A=B" must be a name, not empty and without = and NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "arguments": "", "cwd": "x"}]}',
            'f.json:1:58: "cwd" is for exec tasks only',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "dependancies": []}]}',
            'f.json:1:58: unknown key "dependancies"; did you mean "dependencies"?',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "needs": []}]}',
            'f.json:1:58: unknown key "needs"; did you mean "dependencies"?',
        ),
        (b'{"tasks": [], "taks": []}', 'f.json:1:15: unknown key "taks"; did you mean "tasks"?'),
    ],
)
def test_what_the_schema_forbids_is_said_with_its_place(data, line):
    assert lines_of(data) == [line]


def test_names_with_dots_and_brackets_do_not_confuse_the_place():
    data = b'{"tasks": [{"name": "a.b[0]", "type": "exec", "arguments": "",\n "env": {"data.x[1]": "", "a.b": 5}}]}'
    assert lines_of(data) == ['f.json:2:34: "a.b" must be a string, not a number']


def test_all_problems_are_found_at_once_in_the_order_of_the_file():
    data = b"""{"tasks": [
{"name": "a", "type": "exec", "arguments": 1},
{"name": "b", "type": "exec", "arguments": "", "dependencies": ["a", "nowhere"]},
{"name": "b", "type": "oops", "arguments": ""},
{"arguments": ""}
]}"""
    assert lines_of(data) == [
        'f.json:2:44: "arguments" must be a string, not a number',
        'f.json:3:70: unknown dependency "nowhere"',
        'f.json:4:10: name "b" is used twice (first at f.json:3:10)',
        'f.json:4:23: "type" must be "exec" or "eval", not "oops"',
        'f.json:5:1: "name" is missing',
        'f.json:5:1: "type" is missing',
    ]


def test_twenty_problems_are_shown_and_the_rest_counted():
    tasks = [{"name": f"t{i}", "type": "exec", "arguments": i} for i in range(25)]
    lines = lines_of(json.dumps({"tasks": tasks}).encode())
    assert len(lines) == 21
    assert lines[-1] == "... and 5 more"


def test_problems_of_an_object_have_a_path():
    assert lines_of(document(exec_("a", "x", env={"a.b": 1, "c": 2}))) == [
        'document: $.tasks[0].env["a.b"]: "a.b" must be a string, not a number',
        'document: $.tasks[0].env.c: "c" must be a string, not a number',
    ]


def test_the_last_of_two_equal_keys_is_the_one_that_counts_and_is_shown():
    data = b'{"tasks": [{"name": "a", "type": "exec", "arguments": "", "arguments": 5}]}'
    assert lines_of(data) == ['f.json:1:72: "arguments" must be a string, not a number']


def test_a_value_too_deep_to_walk_still_gets_a_place():
    deep = b"[" * 1000 + b"]" * 1000
    lines = lines_of(b'{"tasks": [{"name": ' + deep + b', "type": "exec", "arguments": 5}]}')
    assert any("must be a string" in line and line.startswith("f.json:1:") for line in lines)


def test_an_unknown_key_is_one_warning_and_x_keys_are_free():
    data = b"""{"tasks": [
{"name": "a", "type": "exec", "arguments": "", "colour": 1, "x-note": 2},
{"name": "b", "type": "exec", "arguments": "", "colour": 1}], "x-top": 3, "version": 2}"""
    found = parse(data, "f.json")
    assert not found.problems
    assert len(found.tasks) == 2
    assert sorted(found.warnings) == [
        'f.json:2:48: warning: unknown key "colour" is ignored (in 2 tasks)',
        'f.json:3:75: warning: unknown key "version" is ignored',
    ]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_a_spec_error(data):
    try:
        build(parse(data, "f"))
    except SpecError as error:
        assert all(line.startswith("f:") for line in error.lines)


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


@given(st.fixed_dictionaries({"tasks": st.lists(json_values, max_size=4)}) | json_values)
def test_any_json_is_a_document_or_a_spec_error(content):
    for found in (lambda: parse(json.dumps(content).encode(), "f"), lambda: read(content, "f")):
        try:
            build(found())
        except SpecError as error:
            assert error.lines


def test_the_shipped_validator_is_made_from_the_schema():
    with open(SCHEMA_PATH, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert digest == validator.SCHEMA_SHA256, "run: python -m tools.make_validator"
    assert load_schema()["definitions"]["task"]["properties"].keys() == validator.KEYS


compiled = compile_schema(load_schema()["definitions"]["task"])

texts = st.text(max_size=3) | st.sampled_from(["exec", "eval", "\0", "a=b", ""])

# Valid, or wrong in a place or two.
near_tasks = st.fixed_dictionaries(
    {"name": texts, "type": st.sampled_from(["exec", "eval"]) | texts, "arguments": texts},
    optional={
        "dependencies": st.lists(texts, max_size=3) | json_values,
        "cwd": texts | json_values,
        "env": st.dictionaries(texts, texts | json_values, max_size=3) | json_values,
        "x": json_values,
    },
)
less_or_more = st.builds(
    lambda task, without, change: {key: value for key, value in {**task, **change}.items() if key not in without},
    near_tasks,
    st.sets(st.sampled_from(sorted(validator.KEYS)), max_size=2),
    st.dictionaries(st.sampled_from(sorted(validator.KEYS)), json_values, max_size=2),
)


@given(near_tasks | less_or_more | json_values)
def test_the_shipped_validator_and_a_new_one_agree(item):
    def verdict(validate, exception) -> bool:
        before = json.dumps(item)
        try:
            validate(item)
        except exception:
            return False
        finally:
            assert json.dumps(item) == before
        return True

    assert verdict(validator.validate, validator.Invalid) is verdict(compiled, fastjsonschema.JsonSchemaException)


def test_the_generator_writes_a_validator_that_agrees():
    made: dict[str, Any] = {}
    exec(make_validator.generate(), made)
    assert (made["SCHEMA_SHA256"], made["KEYS"]) == (validator.SCHEMA_SHA256, validator.KEYS)
    assert made["validate"](exec_("a", "true", "b")) == exec_("a", "true", "b")
    with pytest.raises(made["Invalid"]):
        made["validate"](exec_("a", "true", cwd=""))


def test_printable_text_is_no_command_to_a_ci_system():
    assert printable("a ##[error]b ##vso[c]d ###[e] ## f") == r"a #\x23[error]b #\x23vso[c]d ##\x23[e] ## f"
    assert "##" not in printable("##[x]" * 100)


@given(st.text(max_size=400))
def test_printable_text_is_one_harmless_line_of_bounded_width(text):
    shown = printable(text)
    assert shown.isprintable()
    columns = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)
    assert columns <= COLUMNS_SHOWN


def test_printable_escapes_what_could_forge_a_line_and_keeps_the_rest():
    assert printable("a\nok       b\x1b[2J\u202e\u2028") == "a\\nok       b\\x1b[2J\\u202e\\u2028"
    assert printable("plain näme 漢字 🎉 a\\b") == "plain näme 漢字 🎉 a\\b"


def test_printable_cuts_at_200_columns():
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 199 + "…"
    assert printable("漢" * 101) == "漢" * 99 + "…"
    assert printable("\n" * 300) == "\\n" * 99 + "…"


def test_the_schema_is_a_superset_of_what_it_began_as():
    with open(SCHEMA_PATH) as file:
        schema = json.load(file)
    task = schema["definitions"]["task"]
    assert schema["required"] == ["tasks"]
    assert task["required"] == ["name", "type", "arguments"]
    assert task["properties"]["type"]["enum"] == ["exec", "eval"]
    assert "additionalProperties" not in schema
    assert "additionalProperties" not in task


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("dependancies", "dependencies"),
        ("Dependencies", "dependencies"),
        ("depends_on", "dependencies"),
        ("dependsOn", "dependencies"),
        ("depend", "dependencies"),
        ("dep", "dependencies"),
        ("require", "dependencies"),
        ("needs", "dependencies"),
        ("wait_for", "dependencies"),
        ("enviroment", "env"),
        ("environment", "env"),
        ("working_directory", "cwd"),
        ("dir", "cwd"),
        ("names", "name"),
        ("colour", None),
        ("label", None),
        ("timeot", "timeout"),
        ("command", None),
        ("x-dependencies", None),
    ],
)
def test_a_key_that_looks_like_a_known_one_is_an_error_and_others_are_not(key, meant):
    task = {"name": "a", "type": "exec", "arguments": "", key: "x"}
    if meant is None:
        assert not read(document(task), "d").problems
    else:
        message = f'unknown key "{key}"; did you mean "{meant}"?'
        assert lines_of(document(task)) == [f"document: $.tasks[0].{key}: {message}"]


def test_another_tools_word_for_a_missing_key_is_recognised():
    assert lines_of(document({"name": "a", "type": "exec", "command": "x"})) == [
        'document: $.tasks[0].command: unknown key "command"; did you mean "arguments"?',
        'document: $.tasks[0]: "arguments" is missing',
    ]

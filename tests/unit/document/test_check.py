"""The second reading of a document: all problems, each with its location."""

from __future__ import annotations

import json
import math
import os

import pytest

from fastrun.document.parse import parse, read
from fastrun.document.problems import SpecError
from fastrun.plan.graph import build
from tests.support.documents import document, exec_


def lines_of(data) -> list[str]:
    """Return the problems of a document, a line each."""
    with pytest.raises(SpecError) as caught:
        build(parse(data, "f.json") if isinstance(data, bytes) else read(data, "document"))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("name", "data", "end"),
    [
        ("f", b"tasks:\n  - name: a\n", "; it looks like YAML, and fastrun reads JSON: yq -o json converts it"),
        ("f", b"# mine\n\n---\n", "; it looks like YAML, and fastrun reads JSON: yq -o json converts it"),
        ("f", b"- name: a", "; it looks like YAML, and fastrun reads JSON: yq -o json converts it"),
        ("f.yml", b"{tasks: []}", "; it looks like YAML, and fastrun reads JSON: yq -o json converts it"),
        ("f", b"gzip a.log\n", "; with --lines each line runs as a command"),
        ("f", b"./tool a\n", "; with --lines each line runs as a command"),
        ("f", b"{tasks: []}", "expected a string key"),
        ("f", b'{"tasks": [\nname: a}', "expected 'null'"),
    ],
)
def test_what_is_no_json_but_looks_like_something_else_says_so(name, data, end):
    with pytest.raises(SpecError) as caught:
        parse(data, name)
    (line,) = caught.value.lines
    assert line.startswith(f"{name}:")
    assert line.endswith(end)


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
def test_invalid_json_is_one_line_with_its_location(data, line):
    assert lines_of(data) == [line]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"[]", 'f.json:1:1: the document must be an object, not an array; write {"tasks": [...]}'),
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
            'f.json:1:33: "type" must be "exec" (a shell command) or "eval" (a Python snippet), not "shell"',
        ),
        (
            b'{"tasks": [{"name": "", "type": null, "arguments": ""}]}',
            'f.json:1:33: "type" must be "exec" (a shell command) or "eval" (a Python snippet), not null',
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
            b'{"tasks": [{"name": "", "type": "exec", "arguments": []}]}',
            'f.json:1:54: "arguments" must be a text, or a list that begins with a program',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": ["", "x"]}]}',
            'f.json:1:55: an entry of "arguments" must be a program, not empty and without NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": ["a", "", "b\\u0000"]}]}',
            'f.json:1:64: an entry of "arguments" must be a text without NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": ["a", ["b"]]}]}',
            'f.json:1:60: an entry of "arguments" must be a string, not an array',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "arguments": ["a"]}]}',
            'f.json:1:41: "arguments" may be a list for exec tasks only',
        ),
        *(
            (
                b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "shell": %b}]}' % shell,
                'f.json:1:67: "shell" must be "sh", "bash", "zsh" or "dash", or a list that begins with a program',
            )
            for shell in (b"[]", b'""', b'"fish"', b'"bash -e"')
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "shell": ["", "-c"]}]}',
            'f.json:1:68: an entry of "shell" must be a program, not empty and without NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": ["x"], "shell": "bash"}]}',
            'f.json:1:61: "shell" is for a text only: "arguments" that are a list run without a shell',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "arguments": "", "shell": "bash"}]}',
            'f.json:1:58: "shell" is for exec tasks only',
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
            'f.json:1:58: "cwd" is for exec tasks and for snippets with "where": "process"',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "arguments": "", "where": "thread",\n "env": {}}]}',
            'f.json:2:2: "env" is for exec tasks and for snippets with "where": "process"',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "arguments": "", "detach": true, "where": "nowhere"}]}',
            'f.json:1:83: "where" must be "cluster" or "local" or "process" or "thread", not "nowhere"',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "where": "process", "cwd": "x"}]}',
            'f.json:1:58: "where" may be "process" or "thread" for eval tasks only',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "where": "thread"}]}',
            'f.json:1:58: "where" may be "process" or "thread" for eval tasks only',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "arguments": "", "script": "/dev/null"}]}',
            'f.json:1:58: "script" stands instead of "arguments": give one of them',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "script": "/dev/null"}]}',
            'f.json:1:41: "script" is for eval tasks only',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "script": ""}]}',
            'f.json:1:51: "script" must be a path, not empty and without NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "script": "a\\u0000b"}]}',
            'f.json:1:51: "script" must be a path, not empty and without NUL',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "script": "/no/such.py"}]}',
            'f.json:1:51: "script" cannot be read: /no/such.py: No such file or directory',
        ),
        (
            b'{"tasks": [{"name": "", "type": "eval", "script": "/dev"}]}',
            'f.json:1:51: "script" cannot be read: /dev: it is a folder',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "dependancies": []}]}',
            'f.json:1:58: unknown key "dependancies"; did you mean "dependencies"?',
        ),
        (
            b'{"tasks": [{"name": "", "type": "exec", "arguments": "", "needs": []}]}',
            'f.json:1:58: unknown key "needs"; did you mean "dependencies"?',
        ),
        *(
            (
                b'{"jobs": %b, "tasks": []}' % jobs,
                'f.json:1:10: "jobs" must be a whole number of 1 or more, or "auto"',
            )
            for jobs in (b"0", b"-1", b'"all"', b'""')
        ),
        (b'{"jobs": 1.5, "tasks": []}', 'f.json:1:10: "jobs" must be an integer or a string, not a number'),
        (b'{"jobs": true, "tasks": []}', 'f.json:1:10: "jobs" must be an integer or a string, not a boolean'),
        (b'{"keep_going": -1, "tasks": []}', 'f.json:1:16: "keep_going" must be a whole number of 0 or more'),
        *(
            (b'{"max_time": %b, "tasks": []}' % number, f'f.json:1:14: "max_time" must be {wanted}')
            for number, wanted in (
                (b"0", "a number of seconds above 0"),
                (b"-1", "a number of seconds above 0"),
                (b"1e10", "at most 1,000,000,000"),
                (b'"60"', "a number of seconds above 0, not a string"),
                (b"true", "a number of seconds above 0, not a boolean"),
                (b"null", "a number of seconds above 0, not null"),
            )
        ),
        (b'{"tasks": [], "taks": []}', 'f.json:1:15: unknown key "taks"; did you mean "tasks"?'),
    ],
)
def test_what_the_schema_forbids_is_said_with_its_location(data, line):
    assert lines_of(data) == [line]


def test_all_that_is_wrong_with_defaults_is_said_once_with_its_location():
    data = b"""{"tasks": [{"name": "a", "type": "eval", "script": "/dev/null"}],
"defaults": {"cwd": "", "env": {"=": "x"}, "timeout": "5", "shell": [], "retries": -1,
"timeuot": 5, "colour": 1, "name": "x", "inputs": [], "x-mine": {}, "pool": "gqu"},
"pools": {"gpu": 1, "gqux": 1}}"""
    assert lines_of(data) == [
        'f.json:2:21: "cwd" must be a path, not empty and without NUL',
        'f.json:2:33: "=" must be a name, not empty and without = and NUL',
        'f.json:2:55: "timeout" must be a number of seconds above 0, not a string',
        'f.json:2:69: "shell" must be "sh", "bash", "zsh" or "dash", or a list that begins with a program',
        'f.json:2:84: "retries" must be a whole number of 0 to 1,000',
        'f.json:3:1: unknown key "timeuot"; did you mean "timeout"?',
        'f.json:3:15: unknown key "colour"',
        'f.json:3:28: "name" cannot be a default: each task has its own',
        'f.json:3:41: "inputs" cannot be a default: each task has its own',
        'f.json:3:77: unknown pool "gqu": it is not in the document\'s "pools"; did you mean "gqux"?',
    ]
    assert lines_of(b'{"defaults": 5, "tasks": []}') == ['f.json:1:14: "defaults" must be an object, not a number']


def test_names_with_dots_and_brackets_do_not_confuse_the_location():
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
        'f.json:2:44: "arguments" must be a string or an array, not a number',
        'f.json:3:70: unknown dependency "nowhere"',
        'f.json:4:10: name "b" is used twice (first at f.json:3:10)',
        'f.json:4:23: "type" must be "exec" (a shell command) or "eval" (a Python snippet), not "oops"',
        'f.json:5:1: "name" is missing',
        'f.json:5:1: "type" is missing: write "exec" or "eval"',
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


def test_the_last_of_two_equal_keys_counts_and_is_shown():
    data = b'{"tasks": [{"name": "a", "type": "exec", "arguments": "", "arguments": 5}]}'
    assert lines_of(data) == ['f.json:1:72: "arguments" must be a string or an array, not a number']


def test_a_value_too_deep_to_walk_still_gets_a_location():
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
        ("command", "arguments"),
        ("cmd", "arguments"),
        ("run", "arguments"),
        ("if", "when"),
        ("always", "when"),
        ("finally", "when"),
        ("on_failure", "when"),
        ("sources", "inputs"),
        ("generates", "outputs"),
        ("comment", None),
        ("notes", None),
        ("title", None),
        ("id", None),
        ("x-dependencies", None),
        ("scripts", "script"),
        ("file", None),
        ("path", None),
    ],
)
def test_a_key_that_looks_like_a_known_one_is_an_error_and_others_are_not(key, meant):
    task = {"name": "a", "type": "exec", "arguments": "", key: "x"}
    if meant is None:
        assert not read(document(task), "d").problems
    else:
        message = f'unknown key "{key}"; did you mean "{meant}"?'
        assert lines_of(document(task)) == [f"document: $.tasks[0].{key}: {message}"]


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("parallel", 'tasks run side by side where no "dependencies" order them'),
        ("steps", "each step is a task"),
    ],
)
def test_a_word_for_which_a_task_has_no_key_says_what_to_do(key, advice):
    task = {"name": "a", "type": "exec", "arguments": "", key: []}
    assert lines_of(document(task)) == [f'document: $.tasks[0].{key}: unknown key "{key}"; {advice}']


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("steps", 'did you mean "tasks"?'),
        ("parallel", 'did you mean "jobs"?'),
        ("keepgoing", 'did you mean "keep_going"?'),
        ("maxtime", 'did you mean "max_time"?'),
        ("deadline", 'did you mean "max_time"?'),
        ("default", 'did you mean "defaults"?'),
        ("env", 'put "env" into "defaults" to set it for all tasks'),
        ("environment", 'put "env" into "defaults" to set it for all tasks'),
        ("working-directory", 'put "cwd" into "defaults" to set it for all tasks'),
        ("shell", 'put "shell" into "defaults" to set it for all tasks'),
        ("name", None),
        ("version", None),
        ("description", None),
    ],
)
def test_a_word_at_the_top_names_the_key_that_holds_it(key, advice):
    content = {key: "x", **document()}
    if advice is None:
        assert not read(content, "d").problems
    else:
        (line,) = lines_of(content)
        assert line.endswith(f': unknown key "{key}"; {advice}')


def test_another_tools_word_for_a_missing_key_is_recognised():
    assert lines_of(document({"name": "a", "type": "exec", "command": "x"})) == [
        'document: $.tasks[0].command: unknown key "command"; did you mean "arguments"?',
        'document: $.tasks[0]: "arguments" is missing',
    ]


def test_scripts_that_cannot_be_read_are_found_with_all_other_problems(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.py").write_text("pass")
    secret = tmp_path / "secret.py"
    secret.touch(0o000)
    data = b"""{"tasks": [
{"name": "a", "type": "eval", "script": "gone.py", "dependencies": ["nowhere"]},
{"name": "b", "type": "eval", "script": "good.py"},
{"name": "c", "type": "eval", "script": "secret.py"},
{"name": "d", "type": "eval", "script": 5}
]}"""
    lines = lines_of(data)
    secret_is_kept = not os.access(secret, os.R_OK)  # not from root
    assert lines == [
        'f.json:2:41: "script" cannot be read: gone.py: No such file or directory',
        'f.json:2:69: unknown dependency "nowhere"',
        *['f.json:4:41: "script" cannot be read: secret.py: permission denied'] * secret_is_kept,
        'f.json:5:41: "script" must be a string, not a number',
    ]


def test_a_script_whose_name_no_file_can_have_is_a_problem():
    task = {"name": "a", "type": "eval", "script": "\ud800"}
    assert lines_of(document(task)) == [
        'document: $.tasks[0].script: "script" cannot be read: \\ud800: no file can have this name'
    ]


def test_an_object_may_hold_tuples_and_what_is_wrong_in_them_is_found():
    task = {"name": "a", "type": "exec", "arguments": "false", "dependencies": (5,)}
    assert lines_of({"tasks": [task]}) == [
        'document: $.tasks[0].dependencies[0]: an entry of "dependencies" must be a string, not a number'
    ]


def test_a_limit_without_end_is_no_whole_number():
    assert lines_of({"pools": {"a": math.inf}, "tasks": []}) == [
        'document: $.pools.a: "a" must be an integer, not a number'
    ]

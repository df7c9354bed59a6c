"""What a document says for all tasks that do not say it themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document.defaults import DEFAULT_KEYS
from fastrun.document.parse import parse, read
from fastrun.document.task import Task
from tests.support.documents import document, eval_, exec_
from tests.support.processes import LIMIT, fastrun

# Of each key a default and another value.
VALUES: dict[str, tuple[Any, Any]] = {
    "cwd": ("one", "two"),
    "env": ({"A": "1", "B": "2"}, {"B": "3"}),
    "timeout": (5, 6),
    "memory": ("1M", 2),
    "retries": (1, 0),
    "retry_delay": (2, 3),
    "shell": ("bash", "sh"),
    "pool": ("p", "q"),
    "tags": (["a"], []),
}


def read_with(defaults: dict[str, Any], *tasks: dict[str, Any]) -> list[Task]:
    """The tasks of a document with defaults, which both readings take in the same way."""
    content = {"pools": {"p": 1, "q": 2}, "defaults": defaults, **document(*tasks)}
    found = read(content, "document")
    # A key of this kind brings the second reading.
    again = read({**content, "x-note": 1}, "document")
    assert (found.problems, again.problems, again.warnings) == ([], [], [])
    assert (again.tasks, again.special) == (found.tasks, found.special)
    return found.tasks


def test_each_key_has_a_test():
    assert {*VALUES, "where"} == DEFAULT_KEYS


@pytest.mark.parametrize("key", VALUES)
def test_a_default_holds_for_commands_that_do_not_say_it_themselves(key):
    default, own = VALUES[key]
    said, unsaid = read_with({key: default}, exec_("a", "x", **{key: own}), exec_("b", "x"))
    (with_default,) = read_with({}, exec_("b", "x", **{key: default}))
    assert unsaid == with_default
    merged = {**default, **own} if key == "env" else own
    assert [said] == read_with({}, exec_("a", "x", **{key: merged}))


def test_what_makes_no_sense_for_a_task_is_skipped():
    defaults = {**{key: value for key, (value, _) in VALUES.items()}, "where": "process"}
    command, words, snippet, thread = read_with(
        defaults, exec_("a", "x"), exec_("b", ["x"]), eval_("c", "x"), eval_("d", "x", where="thread")
    )
    assert (command.where, command.shell, command.cwd) == (None, ("bash", "-c"), "one")
    assert (words.where, words.shell, words.cwd) == (None, None, "one")
    assert (snippet.where, snippet.shell, snippet.cwd) == ("process", None, "one")
    assert (thread.where, thread.shell, thread.cwd, thread.env) == ("thread", None, None, None)
    assert [task.memory for task in (command, words, snippet, thread)] == [1 << 20, 1 << 20, 1 << 20, None]
    assert {task.timeout for task in (command, words, snippet, thread)} == {5}


def test_snippets_may_have_what_their_default_place_allows():
    (task,) = read_with({"where": "process", "env": {"A": "1"}}, eval_("a", "x", cwd="/", env={"B": "2"}))
    assert (task.where, task.cwd, task.env) == ("process", "/", {"A": "1", "B": "2"})


@given(st.sets(st.sampled_from(sorted(DEFAULT_KEYS))), st.sets(st.sampled_from(sorted(VALUES))), st.booleans())
def test_both_readings_agree_on_any_defaults(keys, own, first):
    values = {**VALUES, "where": ("process", "thread")}
    defaults = {key: values[key][0] for key in keys}
    said = {key: values[key][1] for key in own}
    content = document(exec_("a", "x", **said), exec_("b", ["x"]), eval_("c", "x"), {"name": "d", **exec_("d", "x")})
    top = {"pools": {"p": 1, "q": 2}, "defaults": defaults}
    tasks = read_with(defaults, *content["tasks"])
    data = json.dumps({**top, **content} if first else {**content, **top}).encode()
    for piece in (1, 20, len(data)):
        found = parse(data, "f", piece)
        assert (found.tasks, found.problems) == (tasks, [])


def test_large_documents_with_defaults_are_read_once_wherever_these_stand():
    source = """if True:
        import json, sys
        from fastrun.document.parse import parse
        tasks = [{"name": str(n), "type": "exec", "arguments": "true " * 20} for n in range(1000)]
        top = {"pools": {"a": 1}, "defaults": {"env": {"A": "${B}]}"}, "tags": ["x"], "pool": "a"}}
        for content in ({**top, "tasks": tasks}, {"tasks": tasks, **top}):
            found = parse(json.dumps(content).encode(), "f")
            assert found.tasks[-1].tags == ["x"] and not found.problems
        assert "fastrun.document.check" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", source], check=True, timeout=LIMIT)


def test_defaults_reach_commands_and_snippets_of_a_run(tmp_path):
    (tmp_path / "in").mkdir()
    content = {
        "defaults": {"cwd": "in", "env": {"A": "1", "B": "2"}},
        **document(
            exec_("a", "pwd; echo $A $B"),
            exec_("b", "pwd; echo $A $B", "a", cwd=".", env={"B": "3"}),
            eval_("c", "import os; print(os.getcwd(), 'A' in os.environ)", "b"),
        ),
    }
    result = fastrun("--output", "group", "-", input=json.dumps(content).encode(), cwd=tmp_path)
    own = ("Started", "Ended", "Output")
    lines = [line for line in result.stdout.decode().splitlines() if not line.startswith(own)]
    assert lines[:5] == [f"{tmp_path}/in", "1 2", str(tmp_path), "1 3", f"{tmp_path} False"]

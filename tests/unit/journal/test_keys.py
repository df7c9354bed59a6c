"""Keys of tasks: equal exactly where tasks do the same after the same."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun import Task
from fastrun.document.parse import read
from fastrun.document.problems import Source
from fastrun.document.task import Document
from fastrun.journal.file import JournalFile
from fastrun.journal.keys import task_keys
from fastrun.journal.records import run_record, start_record
from fastrun.plan.graph import build
from tests.support.documents import document, eval_, exec_
from tests.support.strategies import documents, graphs


def keys_of(*tasks: Task) -> dict[str, str]:
    """Keys by name."""
    graph = build(Document(Source("tasks"), list(tasks), range(len(tasks)), [], [], {}, [], {}))
    return {task.name: key for task, key in zip(tasks, task_keys(graph), strict=True)}


# A value of each field that is not the one of ``b`` below. A field that is not part of what a task does is not here.
OTHER: dict[str, Any] = {
    "name": "B",
    "type": "eval",
    "arguments": "false",
    "dependencies": [],
    "cwd": "other",
    "env": {"X": "2"},
    "detach": True,
    "script": "other.py",
    "depfile": "other.d",
    "shell": ("bash", "-c"),
}


# When, where, how often and how long a task may run is no part of what it does, nor what is said of it beside its name.
# What its files and variables are is compared by itself.
IGNORED: dict[str, Any] = {
    "timeout": 5.0,
    "memory": 1 << 30,
    "retries": 2,
    "retry_delay": 0.5,
    "when": "always",
    "allow_failure": True,
    "pool": "p",
    "description": "what it is for",
    "tags": ["t"],
    "where": "cluster",
    "resources": {"GPU": 1},
    "inputs": ["a"],
    "outputs": ["b"],
    "env_inputs": ["C"],
}


def test_every_field_of_a_task_is_part_of_its_key_or_is_known_not_to_be():
    assert set(Task._fields) == {*OTHER, *IGNORED}
    task = Task("a", "exec", "true")
    assert keys_of(task) == keys_of(task._replace(**IGNORED))


def test_a_list_and_the_text_that_it_looks_like_are_different_work():
    keys = [keys_of(Task("a", "exec", arguments)) for arguments in ("true", ("true",), "('true',)", ("true", ""))]
    assert len({key["a"] for key in keys}) == 4


def test_a_value_that_moves_into_the_defaults_changes_no_key():
    own: dict[str, Any] = {"cwd": "x", "env": {"A": "1", "B": "2"}, "timeout": 5, "shell": "bash"}
    tasks = [exec_("a", "true"), exec_("b", "true", "a", env={"B": "3"}), eval_("c", "pass", "b"), exec_("d", ["true"])]
    said = [
        {**tasks[0], **own},
        {**tasks[1], **own, "env": {"A": "1", "B": "3"}},
        tasks[2],
        {**tasks[3], "cwd": "x", "env": own["env"]},
    ]
    default, each = ({"defaults": own, **document(*tasks)}, document(*said))
    assert task_keys(build(read(default, "document"))) == task_keys(build(read(each, "document")))


@pytest.mark.parametrize("where", ["cluster", "local", "process", "thread"])
def test_where_a_snippet_runs_is_no_part_of_its_key(where):
    task = Task("a", "eval", "pass")
    assert keys_of(task) == keys_of(task._replace(where=where))


def test_what_is_in_a_script_and_its_path_are_part_of_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.py").write_text("1")
    (tmp_path / "two.py").write_text("1")
    one, two = Task("a", "eval", "", script="one.py"), Task("a", "eval", "", script="two.py")
    before = keys_of(one)
    assert keys_of(two) != before
    (tmp_path / "one.py").write_text("2")
    changed = keys_of(one)
    assert changed != before
    (tmp_path / "one.py").unlink()
    assert keys_of(one) not in (before, changed)


@pytest.mark.parametrize("field", OTHER)
def test_a_change_changes_the_key_of_its_task_and_of_those_behind(field):
    def keys(b: Task) -> dict[str, str]:
        tasks = (
            Task("a", "exec", "true"),
            b,
            Task("c", "exec", "true", [b.name]),
            Task("d", "exec", "true", ["c", "a"]),
            Task("e", "exec", "true", ["a"]),
            Task("f", "exec", "true"),
        )
        return {name.lower(): key for name, key in keys_of(*tasks).items()}

    b = Task("b", "exec", "true", ["a"], "here", {"X": "1"})
    before, after = keys(b), keys(b._replace(**{field: OTHER[field]}))
    assert {name for name in before if before[name] != after[name]} == {"b", "c", "d"}
    assert len(set(before.values())) == 6


@given(documents(), st.randoms())
def test_positions_and_the_order_of_dependencies_do_not_matter(shuffled, random):
    def keys() -> dict[str, str]:
        found = task_keys(build(read(shuffled, "document")))
        return {task["name"]: key for task, key in zip(shuffled["tasks"], found, strict=True)}

    before = keys()
    random.shuffle(shuffled["tasks"])
    for task in shuffled["tasks"]:
        task["dependencies"] *= 2
        random.shuffle(task["dependencies"])
    assert keys() == before


@given(graphs())
def test_every_task_has_a_key_of_its_own(edges):
    keys = keys_of(*(Task(str(i), "exec", "", list(map(str, found))) for i, found in enumerate(edges)))
    assert len(set(keys.values())) == len(edges)
    assert all(len(key) == 32 for key in keys.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Task("a", "exec", "b"), Task("ab", "exec", "")),
        (Task("a', 'exec", "exec", ""), Task("a", "exec', 'exec", "")),
        (Task("a", "exec", "", (), None), Task("a", "exec", "", (), "")),
        (Task("a", "exec", "", (), None), Task("a", "exec", "", (), "None")),
        (Task("a", "exec", "", (), None, {"X": "1', 'Y"}), Task("a", "exec", "", (), None, {"X": "1", "Y": ""})),
        (Task("a", "exec", "", (), None, {"XY": "Z"}), Task("a", "exec", "", (), None, {"X": "YZ"})),
        (Task("\ud800", "exec", ""), Task("\\ud800", "exec", "")),
        (Task("\ud83d\ude00", "exec", ""), Task("😀", "exec", "")),
        (Task("é", "exec", ""), Task("e\u0301", "exec", "")),
    ],
)
def test_no_two_tasks_look_alike(one, other):
    assert list(keys_of(one).values()) != list(keys_of(other).values())


def test_an_environment_that_adds_nothing_and_its_order_do_not_matter():
    def key(env: dict[str, str] | None) -> str:
        return keys_of(Task("a", "exec", "", (), None, env))["a"]

    assert key(None) == key({})
    assert key({"X": "1", "Y": "2"}) == key({"Y": "2", "X": "1"})


def test_keys_do_not_change_between_versions():
    # Changed by mistake, every journal would be worth nothing.
    tasks = (Task("é", "exec", "true", (), "sub", {"X": "1"}), Task("b", "eval", "pass", ["é"]))
    assert list(keys_of(*tasks).values()) == ["8764f3e7926ffa76bc8ce8866f610078", "546486100d06ef07cb6554f706f0b0c3"]


def test_a_chain_of_a_hundred_thousand_has_keys():
    size = 100_000
    tasks = [Task("0", "exec", ""), *(Task(str(i), "exec", "", [str(i - 1)]) for i in range(1, size))]
    # The last first, so that the document's order is of no help.
    assert len(set(keys_of(*reversed(tasks)).values())) == size


def test_environment_values_are_not_in_the_file(path):
    task = Task("a", "exec", "arguments-too", (), None, {"TOKEN": "swordfish"})
    with closing(JournalFile.open(path, False)) as journal:
        journal.append(run_record("r", "h"))
        journal.append(start_record("a", keys_of(task)["a"], 1, os.getpid(), 1))
    data = path.read_bytes()
    assert keys_of(task)["a"].encode() in data
    assert b"swordfish" not in data
    assert b"arguments-too" not in data

"""Which tasks of a document are run when a part of it is asked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrun as library
from fastrun.document.parse import read
from fastrun.journal.keys import task_keys
from fastrun.plan.graph import build
from fastrun.plan.selection import Selection, part_of, select
from tests.support.documents import document, exec_, graph_of, write_json
from tests.support.processes import fastrun, report_of
from tests.support.strategies import graphs

BUILD = document(
    exec_("compile:a", "echo a", tags=["compile"]),
    exec_("compile:b", "echo b", tags=["compile", "slow"]),
    exec_("link", "echo link", "compile:a", "compile:b"),
    exec_("test", "echo test", "link", tags=["slow"]),
    exec_("docs", "echo docs"),
    exec_("a*b", "echo star"),
)


def chosen(**wanted) -> list[str]:
    graph = build(read(BUILD, "document"))
    return [graph.tasks[number].name for number in select(graph, Selection(**wanted))]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["compile:a", "compile:b", "link", "test", "docs", "a*b"]),
        ({"names": ["link"]}, ["compile:a", "compile:b", "link"]),
        ({"names": ["compile:*"]}, ["compile:a", "compile:b"]),
        ({"names": ["docs", "compile:[a]"]}, ["compile:a", "docs"]),
        ({"names": ["a*b"]}, ["a*b"]),
        ({"only": ["link"]}, ["link"]),
        ({"roots": ["compile:b"]}, ["compile:b", "link", "test"]),
        ({"tags": ["slow"]}, ["compile:a", "compile:b", "link", "test"]),
        ({"tags": ["c*"]}, ["compile:a", "compile:b"]),
        ({"exclude": ["compile:*"]}, ["link", "test", "docs", "a*b"]),
        ({"names": ["test"], "exclude": ["link"]}, ["compile:a", "compile:b", "test"]),
        ({"only": ["docs"], "roots": ["test"]}, ["test", "docs"]),
    ],
)
def test_selected_tasks_come_in_the_order_of_the_document(wanted, names):
    assert chosen(**wanted) == names


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"names": ["lnk"]}, 'there is no task "lnk"; did you mean "link"?'),
        ({"roots": ["zzz"]}, 'there is no task "zzz"; fastrun --list shows all tasks'),
        ({"only": ["x*"]}, 'no task fits the pattern "x*"; fastrun --list shows all tasks'),
        ({"tags": ["slwo"]}, 'there is no tag "slwo"; did you mean "slow"?'),
        ({"tags": ["zzz"]}, 'there is no tag "zzz"; fastrun --list shows all tags'),
        ({"exclude": ["\x1b[2J*"]}, 'no task fits the pattern "\\x1b[2J*"; fastrun --list shows all tasks'),
    ],
)
def test_a_name_that_fits_no_task_is_an_error_with_the_nearest_name_or_the_way_to_all(wanted, message):
    with pytest.raises(ValueError, match=r"task|tag") as caught:
        chosen(**wanted)
    assert str(caught.value) == message


@given(graphs(), st.data())
def test_a_part_has_the_edges_between_its_tasks(edges, data):
    graph = graph_of(edges)
    numbers = data.draw(st.lists(st.sampled_from(range(len(edges))), unique=True).map(sorted)) if edges else []
    part = part_of(graph, numbers)
    names = [task.name for task in part.tasks]
    assert names == [str(number) for number in numbers]
    for new, old in enumerate(numbers):
        kept = [other for other in edges[old] if other in numbers]
        assert sorted(part.tasks[new].dependencies) == sorted(map(str, kept))
        assert part.waiting_on[new] == len(kept)
        assert [numbers[dependent] for dependent in part.dependents_of(new)] == [n for n in numbers if old in edges[n]]


def test_a_task_in_a_part_has_the_key_that_it_has_in_the_whole():
    graph = build(read(BUILD, "document"))
    part = part_of(graph, [2, 3])
    assert task_keys(part) == task_keys(graph)[2:4]


def test_pools_and_special_keys_go_with_their_tasks():
    tasks = [exec_("a", "true"), exec_("b", "true", "a", pool="p"), exec_("c", "true", "b", when="always")]
    graph = build(read({"tasks": tasks, "pools": {"p": 1}}, "document"))
    part = part_of(graph, [1, 2])
    assert (list(part.special), part.pools) == ([0, 1], {"p": 1})


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["link"], ["compile:a", "compile:b", "link"]),
        (["--only", "link", "--only", "docs"], ["link", "docs"]),
        (["--from", "link"], ["link", "test"]),
        (["--tag=compile"], ["compile:a", "compile:b"]),
        (["--exclude", "compile:*", "-j", "1", "test"], ["link", "test"]),
    ],
)
def test_the_command_line_runs_the_part(tmp_path, options, names):
    result = fastrun(write_json(tmp_path, BUILD), *options)
    assert (result.returncode, list(report_of(result.stdout))) == (0, names)


def test_names_may_stand_before_and_behind_options(tmp_path):
    path = write_json(tmp_path, BUILD)
    for arguments in ((path, "docs", "-j", "1", "link"), ("-j", "1", path, "docs", "link")):
        result = fastrun(*map(str, arguments))
        assert list(report_of(result.stdout)) == ["compile:a", "compile:b", "link", "docs"]


def test_a_name_that_no_task_has_starts_nothing(tmp_path):
    path = write_json(tmp_path, BUILD)
    result = fastrun(path, "lnk")
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b'fastrun: there is no task "lnk"; did you mean "link"?\n'
    for options in ([], ["--only"], ["--from"], ["--exclude"], ["--rerun"]):
        result = fastrun(path, *options, "zzz")
        assert (result.returncode, result.stdout) == (2, b"")
        assert result.stderr == b'fastrun: there is no task "zzz"; fastrun --list shows all tasks\n'


def test_a_resumed_part_reuses_what_the_whole_has_recorded(tmp_path):
    path = write_json(tmp_path, BUILD)
    assert fastrun("--journal", "j", path, cwd=tmp_path).returncode == 0
    result = fastrun("--journal", "j", "--resume", path, "--only", "link", cwd=tmp_path)
    assert report_of(result.stdout) == {"link": ("ok", "from the journal")}


def test_the_library_runs_a_part():
    report = library.run(BUILD, select=library.Selection(only=["docs"]), shuffle=3)
    assert [result.name for result in report] == ["docs"]


def test_the_dry_run_and_the_drawing_show_only_the_part(tmp_path):
    path = write_json(tmp_path, BUILD)
    assert fastrun("-n", path, "link").stdout == b"compile:a\ncompile:b\nlink\n"
    drawn = json.loads(fastrun("--graph", "json", path, "--only", "link").stdout)
    assert drawn == {"tasks": [{"name": "link", "type": "exec", "dependencies": []}]}

"""What is printed about a document without running it."""

from __future__ import annotations

import json
import shutil
import subprocess

import pydot
import pytest

from fastrun.cli.look.show import drawn, explain_lines, list_lines
from fastrun.document.parse import read
from fastrun.plan.graph import build
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, fastrun

EVIL = 'a"\\<b>\n\x1b'


def graph_of(*tasks):
    return build(read(document(*tasks), "document"))


def test_a_list_shows_the_description_or_else_what_the_task_does():
    graph = graph_of(
        exec_("build", "\n make all\nmake more", description="Builds\x1b everything", tags=["x", "y"]),
        eval_("a", "\nprint(1)\nprint(2)"),
        exec_("empty", ""),
    )
    assert list(list_lines(graph)) == ["build  Builds\\x1b everything  [x, y]", "a      print(1)", "empty"]


def test_a_list_of_words_is_shown_as_a_shell_would_take_it(tmp_path):
    path = write_json(tmp_path, document(exec_("a", ["cp", "a b", "$x"])))
    assert fastrun("-n", "-v", path).stdout == b"a\n    exec: cp 'a b' '$x'\n"
    assert fastrun("--list", path).stdout == b"a  cp 'a b' '$x'\n"
    assert b"\n    cp 'a b' '$x'\n" in fastrun("--explain", "a", path).stdout
    for form in ("dot", "mermaid", "json"):
        assert fastrun("--graph", form, path).returncode == 0


# pydot uses old names of its parser's.
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_dot_is_read_by_pydot():
    text = "".join(drawn(graph_of(exec_(EVIL, "true"), eval_("b", "1", EVIL)), "dot"))
    (graph,) = pydot.graph_from_dot_data(text)
    labels = {node.get_name(): node.get("label") for node in graph.get_nodes() if node.get("label")}
    assert labels == {"n0": '"a\\"\\\\<b>\\\\n\\\\x1b"', "n1": '"b"'}
    assert [(edge.get_source(), edge.get_destination()) for edge in graph.get_edges()] == [("n0", "n1")]
    if shutil.which("dot") is not None:
        result = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=True, timeout=LIMIT)
        assert b"edge n0 n1" in result.stdout


def test_mermaid_holds_names_that_cannot_end_their_label():
    text = "".join(drawn(graph_of(exec_(EVIL, "true"), eval_("b", "1", EVIL)), "mermaid"))
    assert text == ('flowchart LR\n  n0["a#34;#92;#60;b#62;#92;n#92;x1b"]\n  n1("b")\n  n0 --> n1\n')


def test_json_has_the_names_as_they_are():
    graph = graph_of(exec_(EVIL, "true"), eval_("b", "1", EVIL))
    assert json.loads("".join(drawn(graph, "json"))) == {
        "tasks": [
            {"name": EVIL, "type": "exec", "dependencies": []},
            {"name": "b", "type": "eval", "dependencies": [EVIL]},
        ]
    }


def test_a_task_is_explained_by_its_dependencies_and_its_dependents():
    graph = graph_of(
        exec_("a", "true"),
        exec_("b", "true", "a"),
        exec_("c", "make\nmore", "b", description="Makes", retries=2, timeout=3, allow_failure=True),
        exec_("d", "true", "c"),
        exec_("e", "true"),
    )
    assert list(explain_lines(graph, "c")) == [
        "c: exec (ended after 3 s; tried up to 3 times; may fail)",
        "  Makes",
        "    make",
        "    more",
        "needs b, and through them 1 more",
        "is needed by d",
        "longest path through it, 4 tasks: a -> b -> c -> d",
        "starts as number 3 of 5 when one task runs at a time",
    ]


def test_a_task_that_runs_only_after_a_failure_is_explained():
    lines = list(explain_lines(graph_of(exec_("a", "true"), exec_("b", "true", "a", when="failed")), "b"))
    assert lines[0] == "b: exec (runs when all that it needs has ended, and something failed)"
    assert lines[-1] == "starts only when something that it depends on has failed"


def test_a_chain_of_a_hundred_thousand_is_explained_in_short():
    names = [f"t{n}" for n in range(100_000)]
    tasks = [exec_(name, "true", *names[max(0, n - 1) : n]) for n, name in enumerate(names)]
    lines = list(explain_lines(graph_of(*tasks), "t50000"))
    assert "needs t49999, and through them 49999 more" in lines
    assert any(line.startswith("longest path through it, 100000 tasks: t0 -> t1 ->") for line in lines)
    assert max(map(len, lines)) < 500


@pytest.mark.parametrize("option", [["--list"], ["--graph", "dot"], ["--explain", "a"]])
def test_no_look_runs_anything(tmp_path, option):
    result = fastrun(write_json(tmp_path, document(exec_("a", "touch ran"))), *option, cwd=tmp_path)
    assert result.returncode == 0
    assert b"touch ran" in result.stdout or b"digraph" in result.stdout
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "way_out"), [("biuld", 'did you mean "build"?'), ("zzz", "fastrun --list shows all tasks")]
)
def test_explaining_an_unknown_task_is_an_error(tmp_path, name, way_out):
    result = fastrun(write_json(tmp_path, document(exec_("build", "true"))), "--explain", name)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == f'fastrun: there is no task "{name}"; {way_out}\n'

"""The end of what a task printed: what stays of tracebacks that are longer."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from fastrun.document.task import Task
from fastrun.observers.frames import last_bytes, last_lines
from tests.support.documents import document, eval_, write_json
from tests.support.pages import column, data_of
from tests.support.processes import environment, fastrun

A = Task("a", "eval", "")

OWN = b'  File "<task a>", line 3, in f\n    g()\n    ^^^\n'
DEEP = b"".join(b'  File "/lib/deep.py", line %d, in g%d\n    g%d()\n' % (n, n, n + 1) for n in range(500))


def test_an_end_that_is_all_there_is():
    assert last_bytes(b"one\n", b"two\n", 8, A) == b"one\ntwo\n"
    assert last_bytes(b"", b"", 8, A) == b""
    assert last_lines(b"one\ntwo", 2, A) == last_lines(b"one\ntwo\n", 2, A) == [b"one", b"two"]
    assert last_lines(b"", 2, A) == []
    assert last_lines(b"\n", 2, A) == [b""]


def test_own_frames_come_before_the_end():
    output = b"printed\nTraceback (most recent call last):\n" + OWN + DEEP + b"KeyError: 1\n"
    assert last_bytes(b"", output, 200, A)[: len(OWN) + 4] == OWN + b"...\n"
    assert output.endswith(last_bytes(b"", output, 200, A)[len(OWN) + 4 :])
    assert last_lines(output, 2, A) == [*OWN.splitlines(), b"...", b"    g500()", b"KeyError: 1"]
    # From one cut to the next, wherever they are, also within the frame.
    for size in (1, 7, 40, 1000):
        kept = b""
        for at in range(0, len(output), size):
            kept = last_bytes(kept, output[at : at + size], 300, A)
        assert kept[: len(OWN) + 4] == OWN + b"...\n"
        assert output.endswith(kept[len(OWN) + 4 :])


def test_frames_right_before_the_end_have_no_gap():
    assert last_lines(b"x\n" + OWN + b"KeyError: 1\n", 1, A) == [*OWN.splitlines(), b"KeyError: 1"]


def test_frames_within_exception_groups_have_their_bars():
    output = (
        b"  + Exception Group Traceback (most recent call last):\n"
        b'  |   File "<task a>", line 4, in <module>\n'
        b"  |     f()\n"
        b'  |   File "/lib/a.py", line 1, in f\n'
        b"  |     raise ExceptionGroup('x', [e])\n"
    )
    assert last_lines(output + DEEP, 1, A) == [*output.splitlines()[1:3], b"...", b"    g500()"]


def test_the_last_frames_stay_and_take_at_most_half_the_room():
    frames = [b'  File "<task a>", line %d, in f\n    f()\n' % number for number in range(1000)]
    output = b"".join(frames) + DEEP
    assert last_lines(output, 1, A) == [*b"".join(frames[-8:]).splitlines(), b"...", b"    g500()"]
    assert last_bytes(b"", output, 200, A).startswith(b"".join(frames[-2:]) + b"...\n")
    long = b'  File "<task a>", line 1, in <module>\n    ' + b"x" * 1000 + b"\n"
    assert last_lines(long + DEEP, 1, A) == [long.splitlines()[0], b"...", b"    g500()"]
    assert last_bytes(b"", long + DEEP, 50, A) == b"    g500()\n"


@pytest.mark.parametrize(
    "task", [Task("b", "eval", ""), Task("a", "exec", "")], ids=["of another task", "of a command"]
)
def test_other_frames_do_not_stay(task):
    assert last_bytes(b"", OWN + DEEP, 50, task) == last_bytes(OWN, DEEP, 50, task) == DEEP[-11:]
    assert last_lines(OWN + DEEP, 1, task) == [b"    g500()"]


def test_frames_of_a_script_have_its_path():
    own = b'  File "/project/a/run.py", line 3, in f\n    g()\n'
    other = b'  File "/project/a/other_run.py", line 3, in f\n    h()\n'
    script = Task("a", "eval", "", script="../a/run.py")
    assert last_lines(own + other + DEEP, 1, script) == [*own.splitlines(), b"...", b"    g500()"]


def test_lines_that_only_look_like_frames_do_not_stay():
    assert last_lines(b'x File "<task a>", line 1\nFile "<task a>", line x\n' + DEEP, 1, A) == [b"    g500()"]


DEPTH = 400

LIBRARY = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(DEPTH))
LIBRARY += f"def f{DEPTH}():\n    raise KeyError(1)\n"
LIBRARY += "def chain():\n    try: f0()\n    except KeyError: f0()\n"
LIBRARY += "def group():\n    try: f0()\n    except KeyError as e: raise ExceptionGroup('g', [e]) from None\n"

PRINTED = """
try: import deep; deep.f0()
except KeyError: __import__("traceback").print_exc()
raise SystemExit(3)
"""

# By name, snippets that fail in their second line.
SNIPPETS = {
    "deep": "import deep\ndeep.f0()",
    "chain": "import deep\ndeep.chain()",
    "group": "import deep\ndeep.group()",
    "printed": PRINTED,
    "long": "import deep\nraise ValueError('line\\n' * 5000)",
}


def test_each_report_of_a_failure_shows_the_line_of_the_snippet(tmp_path):
    (tmp_path / "deep.py").write_text(LIBRARY)
    (tmp_path / "script.py").write_text(SNIPPETS["deep"])
    tasks = [eval_(name, source) for name, source in SNIPPETS.items()]
    tasks.append(eval_("process", SNIPPETS["chain"], where="process"))
    files = {task["name"]: f"<task {task['name']}>" for task in tasks}
    for where in ("thread", "process"):
        tasks.append({"name": f"script-in-{where}", "type": "eval", "script": "script.py", "where": where})
        files[f"script-in-{where}"] = str(tmp_path / "script.py")
    path = write_json(tmp_path, document(*tasks))
    options = ["-C", tmp_path, "--output", "quiet", "--junit", tmp_path / "junit.xml", "--html", tmp_path / "page.html"]
    stdout = fastrun(*options, path, env=environment(PYTHONPATH=str(tmp_path))).stdout.decode()

    console: dict[str, list[str]] = {}
    for line in stdout.partition("Failures:\n")[2].partition("Report:\n")[0].splitlines():
        if line.startswith("  failed: "):
            shown = console.setdefault(line.split()[1], [])
        elif line.startswith("    | "):
            shown.append(line[6:])
    cases = ET.parse(tmp_path / "junit.xml").iter("testcase")
    junit = {str(case.get("name")): str(case.findtext("failure")).splitlines() for case in cases}
    page = data_of(tmp_path / "page.html")
    names = column(page, "name")
    html = {names[failure["row"]]: failure["output"].splitlines() for failure in page["failures"]}

    for report in (console, junit, html):
        assert report.keys() == files.keys()
        for name, lines in report.items():
            assert any(f'File "{files[name]}", line 2, in <module>' in line for line in lines)
    for lines in (console["deep"], junit["deep"]):
        told = [line for line in lines if set(line) - set(" ~^")]
        assert told[:3] == ['  File "<task deep>", line 2, in <module>', "    deep.f0()", "..."]
        assert told[-2:] == ["    raise KeyError(1)", "KeyError: 1"]
        assert len(lines) <= 24

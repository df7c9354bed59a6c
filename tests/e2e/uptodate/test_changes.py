"""What changes beside tasks that name their files, and when such a task runs again for it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import fastrun
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.fakes import Started
from tests.support.processes import environment, wait_for_tick
from tests.support.processes import fastrun as command


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def update(*tasks: dict[str, Any], resume: bool = False, **options: Any) -> dict[str, str]:
    """Bring tasks up to date, or go on with them. Return the reasons of those that ran."""
    # What changes in the same tick of the clock as a task starts may have changed while it ran.
    wait_for_tick()
    started = Started()
    options |= {"journal": "journal", "guardian": False, "observers": [started]}
    fastrun.run(document(*tasks), update=not resume, resume=resume, **options)
    return started.why


def test_header_with_a_time_in_the_future_is_no_change():
    Path("a.h").write_text("1")
    os.utime("a.h", (time.time() + 1e6, time.time() + 1e6))
    compile_ = exec_("compile", "cat a.h > a.o && echo 'a.o: a.h' > a.d", outputs=["a.o"], depfile="a.d")
    assert update(compile_) == {"compile": "not recorded"}
    assert update(compile_) == {}


def test_header_that_a_task_makes_is_known_by_its_absolute_path_too(tmp_path):
    Path("version").write_text("1")
    make = eval_("make", "open('v.h', 'w').write('1')", inputs=["version"], outputs=["v.h"])
    text = f"open('a.o', 'w'); open('a.d', 'w').write('a.o: {tmp_path}/v.h')"
    for number in range(5):
        Path("version").write_text(str(number))
        update(make, eval_("compile", f"{text} # {number}", "make", outputs=["a.o"], depfile="a.d"))
        # Made in the same tick of the clock as the other task starts: it has not changed while that ran.
        assert update(make, eval_("compile", f"{text} # {number}", "make", outputs=["a.o"], depfile="a.d")) == {}
    Path("v.h").write_text("2")
    os.utime("v.h")
    assert update(make, eval_("compile", f"{text} # 4", "make", outputs=["a.o"], depfile="a.d")) == {
        "make": "v.h changed"
    }


def test_command_that_changed_and_changed_back_before_it_could_run_does_not_run():
    def tasks(flag: str) -> tuple[dict[str, Any], ...]:
        make = exec_("make", "test ! -e broken && cp source made", inputs=["source"], outputs=["made"])
        return make, exec_("use", f"cat made > used # {flag}", "make", inputs=["made"], outputs=["used"])

    Path("source").write_text("1")
    update(*tasks("-a"))
    Path("source").write_text("2")
    Path("broken").touch()
    assert update(*tasks("-b")) == {"make": "source changed"}
    Path("source").write_text("1")
    Path("broken").unlink()
    assert update(*tasks("-a")) == {"make": "failed the last time"}


@pytest.mark.parametrize("again", [False, True], ids=["first run", "later run"])
@pytest.mark.parametrize("change", ["", "rename"])
def test_input_that_changes_and_changes_back_while_the_task_runs_has_changed(again, change):
    Path("header").write_text("1")
    Path("source").write_text("1")
    task = exec_("compile", "sh ./compiler", inputs=["source", "compiler"], outputs=["made"], depfile="deps")
    compiler = "cat source header > made; echo 'made: header' > deps"
    if again:
        Path("compiler").write_text(compiler)
        update(task)
    # For a moment both have another content, and the compiler reads that.
    meddle = "for x in source header; do cp $x $x.old; echo 2 > $x; done"
    undo = f"for x in source header; do {'mv' if change else 'cp'} $x.old $x; done"
    Path("compiler").write_text(f"{meddle}; {compiler}; {undo}")
    with pytest.warns(RuntimeWarning, match="compile: source changed while it ran; it runs again next time"):
        update(task)
    assert Path("made").read_text() == "2\n2\n"
    Path("compiler").write_text(compiler)
    assert update(task) == {"compile": "source changed while it ran"}
    assert Path("made").read_text() == "11"
    assert update(task) == {}


def test_header_that_changes_and_changes_back_while_the_task_runs_has_changed():
    Path("header").write_text("1")
    task = exec_("compile", "sh ./compiler", inputs=["compiler"], outputs=["made"], depfile="deps")
    compiler = "cat header > made; echo 'made: header' > deps"
    Path("compiler").write_text(compiler)
    update(task)
    Path("compiler").write_text(f"cp header old; echo 2 > header; {compiler}; cp old header")
    with pytest.warns(RuntimeWarning, match="compile: header changed while it ran; it runs again next time"):
        update(task)
    Path("compiler").write_text(compiler)
    assert update(task) == {"compile": "header changed while it ran"}
    assert update(task) == {}


def test_header_of_the_same_run_that_changes_and_changes_back_has_changed():
    make = exec_("make", "echo 1 > header", outputs=["header"])
    task = exec_("compile", "sh ./compiler", "make", outputs=["made"], depfile="deps")
    compiler = "cat header > made; echo 'made: header' > deps"
    # Later than the header, by the clock that files are stamped with.
    later = "touch later; until test later -nt header; do touch later; done"
    Path("compiler").write_text(f"{later}; cp header old; echo 2 > header; {compiler}; cp old header")
    with pytest.warns(RuntimeWarning, match="compile: header changed while it ran; it runs again next time"):
        update(make, task)
    Path("compiler").write_text(compiler)
    assert update(make, task) == {"compile": "header changed while it ran"}
    assert update(make, task) == {}


def test_header_whose_name_the_locale_does_not_have_is_found():
    task = exec_("compile", "cat ü.h > made; echo 'made: ü.h' > deps", outputs=["made"], depfile="deps")
    path = write_json(Path(), document(task))
    env = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    for content in (b"1", b"2"):
        Path("ü.h").write_bytes(content)
        assert command("-u", path, env=env).returncode == 0
        assert Path("made").read_bytes() == content


def test_link_to_an_input_is_no_change():
    Path("source").write_text("1")
    task = exec_("link", "ln -f source made && chmod a+r source", inputs=["source"], outputs=["made"])
    assert update(task) == {"link": "not recorded"}
    assert update(task) == {}


def test_folders_are_made_for_a_task_that_must_run_though_nothing_changed():
    Path("source").write_text("1")
    text = "cp source out/made && echo 'out/made: source' > deps/made"
    task = exec_("copy", text, inputs=["source"], outputs=["out/made"], depfile="deps/made")
    update(task)
    Path("deps/made").unlink()
    Path("deps").rmdir()
    assert update(task, rerun=["copy"]) == {"copy": "asked for"}
    assert update(task) == {}


def test_task_that_was_asked_for_runs_once_it_can():
    make = exec_("make", "test ! -e broken && cp source made", inputs=["source"], outputs=["made"])
    tasks = make, exec_("use", "cat made > used", "make", inputs=["made"], outputs=["used"])
    Path("source").write_text("1")
    update(*tasks)
    Path("source").write_text("2")
    Path("broken").touch()
    assert update(*tasks, rerun=["use"]).keys() == {"make"}
    Path("source").write_text("1")
    Path("broken").unlink()
    assert update(*tasks).keys() == {"make", "use"}
    assert update(*tasks) == {}


def test_task_without_files_runs_after_its_dependency_though_that_ran_in_an_earlier_run():
    tasks = (
        exec_("first", "cp source first", inputs=["source"], outputs=["first"]),
        exec_("second", "test ! -e broken && cp flag second", "first", inputs=["flag"], outputs=["second"]),
        exec_("third", "cp second third", "second", inputs=["second"], outputs=["third"]),
        exec_("last", "cat first third", "first", "third"),
    )
    for name in "source", "flag":
        Path(name).write_text("1")
    update(*tasks, resume=True)
    assert update(*tasks, resume=True) == {}
    for name in "source", "flag", "broken":
        Path(name).write_text("2")
    assert update(*tasks, resume=True).keys() == {"first", "second"}
    Path("flag").write_text("1")
    Path("broken").unlink()
    # What the third task reads is what it was, and the first task ran before.
    assert update(*tasks, resume=True).keys() == {"second", "last"}
    assert update(*tasks, resume=True) == {}


def test_link_in_a_folder_that_points_to_another_folder_is_a_change():
    for folder in "data", "one", "two":
        Path(folder).mkdir()
    Path("data/link").symlink_to("../one")
    task = exec_("list", "ls data/link/ > made", inputs=["data"], outputs=["made"])
    update(task)
    Path("data/link").unlink()
    Path("data/link").symlink_to("../two")
    assert update(task) == {"list": "data/link changed"}
    assert update(task) == {}


def test_paths_may_be_absolute_here_and_relative_there(tmp_path):
    Path("source").write_text("1")
    make = exec_("make", "cp source made", inputs=["source"], outputs=["made"])
    use = exec_("use", "cp made used", inputs=[f"{tmp_path}/made"], outputs=["used"], cwd=str(tmp_path))
    with pytest.raises(fastrun.SpecError, match='input "made" is made by make; add "make" to the dependencies'):
        update(make, use)
    with pytest.raises(fastrun.SpecError, match='output "made" is made by make too'):
        update(make, exec_("again", "", outputs=[f"{tmp_path}/sub/../made"]))
    use["dependencies"] = ["make"]
    assert update(make, use).keys() == {"make", "use"}
    use["inputs"] = ["made"]
    make["outputs"] = [f"{tmp_path}/made"]
    assert update(make, use) == {}


def test_script_that_a_dependency_has_just_made_is_a_change():
    Path("text").write_text("open('made', 'w').write('1')")
    Path("script.py").write_text("")
    make = exec_("make", "cp text script.py", inputs=["text"], outputs=["script.py"])
    use = {"name": "use", "type": "eval", "script": "script.py", "dependencies": ["make"], "outputs": ["made"]}
    update(make, use)
    Path("text").write_text("open('made', 'w').write('2')")
    assert update(make, use) == {"make": "text changed", "use": "script.py changed"}
    assert Path("made").read_text() == "2"
    assert update(make, use) == {}


def test_output_that_another_task_makes_from_now_on_is_none_of_the_first():
    both = exec_("first", "echo 1 > a; echo 1 > b", outputs=["a", "b"])
    update(both)
    tasks = {**both, "outputs": ["a"]}, exec_("second", "echo 2 > b", "first", outputs=["b"])
    assert update(*tasks) == {"second": "not recorded"}
    assert update(*tasks) == {}

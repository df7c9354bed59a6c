"""``sys.modules["__main__"]`` while snippets run."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from fastrun.document.task import Task
from fastrun.executors.snippets.forks import Copies
from fastrun.executors.snippets.main import main_file, remove_main_file
from fastrun.executors.snippets.program import Parents, Program, Shared
from tests.support.documents import document, eval_, write_json
from tests.support.processes import environment, fastrun
from tests.support.runs import Evaluated, evaluate

pytestmark = pytest.mark.usefixtures("unmeasured_processes")


def test_main_is_the_namespace_of_the_snippet_that_asks():
    source = """
import sys, __main__
name = "{0}"
print(vars(__main__) is globals(), __main__.name, sys.modules["__main__"] is __main__, type(__main__).__name__)
__main__.other = 1
print(other)
del __main__.other
print("other" in dir(__main__), hasattr(__main__, "other"))
"""
    ran = Evaluated(*(eval_(name, source.format(name)) for name in "ab"))
    for name in "ab":
        assert ran.recorder.out(name) == f"True {name} True module\n1\nFalse False\n"


def test_main_is_as_before_after_the_run_and_outside_of_snippets():
    before = sys.modules["__main__"]
    assert evaluate("import __main__\n__main__.leak = 1").report.ok
    assert sys.modules["__main__"] is before
    assert not hasattr(before, "leak")


def test_names_that_main_has_not_are_made_by_its_own_function():
    source = "import __main__\ndef __getattr__(name): return name * 2\nprint(__main__.ab)"
    assert evaluate(source).recorder.out("a") == "abab\n"


def test_missing_name_of_main_is_an_attribute_error_that_says_so():
    ran = evaluate("import __main__\n__main__.missing")
    assert ran.status() == ("failed", "AttributeError: module '__main__' has no attribute 'missing'")
    assert evaluate("import __main__\ndel __main__.missing").status() == ("failed", "AttributeError: missing")


def test_namespace_is_that_of_a_script():
    expected = ["__builtins__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__"]
    if sys.version_info < (3, 14):
        expected.insert(0, "__annotations__")
    ran = evaluate("print(sorted(globals()), __name__, __file__)")
    assert ran.recorder.out("a") == f"{sorted(expected)} __main__ <task a>\n"


def test_copy_leaves_the_file_to_the_program_that_it_is_a_copy_of():
    made = Program(0, Task("a", "eval", "x = 1"), Shared(lambda *_: True, {}, Copies(), Parents()))
    path = main_file(made)
    made.is_copy = True
    remove_main_file(made)
    assert pathlib.Path(path).read_text() == "x = 1"
    made.is_copy = False
    remove_main_file(made)
    assert not os.path.exists(path)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_import_main_leave_no_file(method, tmp_path):
    source = f"""
import multiprocessing
def double(number): return number * 2
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        print(pool.map(double, [1, 2]), __file__)
"""
    folder = tmp_path / "t"
    folder.mkdir()
    done = fastrun(write_json(tmp_path, document(eval_("a", source))), env=environment(TMPDIR=str(folder)))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"[2, 4] <task a>\n" in done.stdout
    assert os.listdir(folder) == []

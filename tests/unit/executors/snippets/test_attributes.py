"""Attributes of shared modules of which each snippet has a value of its own."""

from __future__ import annotations

import sys
import threading
from unittest import mock

import pytest

from tests.support.documents import eval_
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT
from tests.support.runs import Evaluated, evaluate, shared


def test_value_that_a_snippet_sets_is_its_own():
    before = sys.argv
    change = "import sys, shared\nsys.argv = ['mine']\nshared.meet.wait()\nshared.meet.wait()\nprint(sys.argv)"
    look = "import sys, shared\nshared.meet.wait()\nprint(sys.argv)\nshared.meet.wait()"
    with shared(meet=threading.Barrier(2, timeout=LIMIT)):
        ran = Evaluated(eval_("a", change), eval_("b", look), eval_("c", "import sys\nprint(sys.argv)", "a", "b"))
    assert [ran.recorder.out(name) for name in "abc"] == ["['mine']\n", "['-c']\n", "['-c']\n"]
    assert sys.argv is before


def test_attribute_that_a_snippet_deletes_is_missing_for_it_alone():
    source = """
import sys
del sys.argv
try:
    sys.argv
except AttributeError as error:
    print(error)
try:
    del sys.argv
except AttributeError:
    print("once")
sys.argv = [1]
print(sys.argv)
"""
    ran = Evaluated(eval_("a", source), eval_("b", "import sys\nprint(sys.argv)", "a"))
    assert ran.recorder.out("a") == "module 'sys' has no attribute 'argv'\nonce\n[1]\n"
    assert ran.recorder.out("b") == "['-c']\n"


def test_value_that_is_patched_comes_back():
    source = """
import io, sys
from unittest import mock
before = sys.stdout
with mock.patch("sys.stdout", io.StringIO()) as text, mock.patch.object(sys, "argv", ["x"]):
    print("into the text")
print(sys.stdout is before, sys.argv, text.getvalue())
"""
    assert evaluate(source).recorder.out("a") == "True ['-c'] into the text\n\n"


@pytest.mark.parametrize("attribute", ["argv", "path", "excepthook", "stdout", "__stderr__"])
def test_modules_are_as_before_after_the_run(attribute):
    kind, value = type(sys), getattr(sys, attribute)
    evaluate(f"import sys\nsys.{attribute} = 1")
    assert (type(sys), getattr(sys, attribute)) == (kind, value)
    assert vars(sys)[attribute] is value


def test_value_that_is_set_outside_of_snippets_in_a_run_stays():
    before = sys.excepthook
    hook = mock.Mock()

    class Sets(Recorder):
        def task_started(self, number, task, start) -> None:
            sys.excepthook = hook
            event.set()

    source = "import shared, sys\nshared.event.wait(60)\nprint(sys.excepthook is sys.__excepthook__)"
    try:
        with shared(event=threading.Event()) as module:
            event = module.event
            ran = evaluate(source, recorder=Sets())
        assert ran.recorder.out("a") == "True\n"
        assert sys.excepthook is hook
    finally:
        sys.excepthook = before


def test_value_that_is_deleted_outside_of_snippets_in_a_run_stays_away():
    class Deletes(Recorder):
        def task_started(self, number, task, start) -> None:
            del sys.tracebacklimit

    sys.tracebacklimit = 100
    try:
        evaluate("pass", recorder=Deletes())
        assert not hasattr(sys, "tracebacklimit")
    finally:
        vars(sys).pop("tracebacklimit", None)

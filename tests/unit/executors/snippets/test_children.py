"""Processes of multiprocessing that snippets start."""

from __future__ import annotations

import multiprocessing
import threading
import time

import pytest

from tests.support.documents import document, eval_, write_json
from tests.support.processes import LIMIT, fastrun, report_of
from tests.support.runs import Evaluated, evaluate, shared


def test_daemon_children_are_ended_and_others_awaited():
    source = """
import multiprocessing, shared, time
context = multiprocessing.get_context("fork")
shared.daemon = context.Process(target=time.sleep, args=(1000,), daemon=True)
shared.other = context.Process(target=time.sleep, args=(0,))
shared.daemon.start()
shared.other.start()
print(len(multiprocessing.active_children()) >= 1)
"""
    look = "import multiprocessing\nprint(multiprocessing.active_children())"
    with shared() as module:
        ran = Evaluated(eval_("a", source), eval_("b", look, "a"))
    assert (ran.status(), ran.warnings) == (("ok", ""), [])
    assert (module.daemon.exitcode, module.other.exitcode) == (-15, 0)
    assert (ran.recorder.out("a"), ran.recorder.out("b")) == ("True\n", "[]\n")


def test_the_status_of_another_snippets_child_is_left_alone():
    first = """
import multiprocessing, shared, time
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0,))
child.start()
child._popen.poll = lambda *_: shared.asked.append(1)
shared.meet.wait()
shared.meet.wait()
del child._popen.poll
child.join()
print(child.exitcode)
"""
    other = """
import multiprocessing, shared, time
shared.meet.wait()
for _ in range(2):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0,))
    child.start()
    child.join()
shared.meet.wait()
"""
    with shared(asked=[], meet=threading.Barrier(2, timeout=LIMIT)) as module:
        ran = Evaluated(eval_("a", first), eval_("b", other), threads=2)
    assert (ran.status("b"), ran.recorder.out("a"), module.asked) == (("ok", ""), "0\n", [])


def test_children_of_others_are_not_listed():
    own = """
import multiprocessing, shared, time
children = [multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,), daemon=True)]
children[0].start()
shared.meet.wait()
print(multiprocessing.active_children() == children)
shared.meet.wait()
"""
    none = """
import multiprocessing, shared
shared.meet.wait()
print(multiprocessing.active_children())
shared.meet.wait()
"""
    with shared(meet=threading.Barrier(3, timeout=LIMIT)):
        ran = Evaluated(eval_("a", own), eval_("b", own), eval_("c", none), threads=3)
    assert [ran.recorder.out(name) for name in "abc"] == ["True\n", "True\n", "[]\n"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_children_of_the_program_that_runs_fastrun_stay_its_own():
    context = multiprocessing.get_context("fork")
    before, meanwhile = (context.Process(target=time.sleep, args=(1000,), daemon=True) for _ in range(2))
    before.start()
    meet = threading.Barrier(2, timeout=LIMIT)

    def start() -> None:
        meet.wait()
        meanwhile.start()
        meet.wait()

    source = """
import multiprocessing, shared
shared.meet.wait()
shared.meet.wait()
print(multiprocessing.active_children())
"""
    thread = threading.Thread(target=start)
    thread.start()
    with shared(meet=meet):
        ran = evaluate(source)
    thread.join()
    assert (ran.recorder.out("a"), set(multiprocessing.active_children())) == ("[]\n", {before, meanwhile})
    for child in (before, meanwhile):
        child.kill()
        child.join()
    assert multiprocessing.active_children() == []


def test_pool_of_multiprocessing_that_is_left_open_ends_with_its_snippet():
    source = """
import multiprocessing
pool = multiprocessing.get_context("fork").Pool(2)
print(pool.map(abs, [-1, -2]))
"""
    ran = evaluate(source)
    assert (ran.status(), ran.recorder.out("a"), ran.warnings) == (("ok", ""), "[1, 2]\n", [])


def test_start_method_is_the_snippets():
    set_ = "import multiprocessing\nmultiprocessing.set_start_method('{0}')\nprint(multiprocessing.get_start_method())"
    ran = Evaluated(*(eval_(method, set_.format(method)) for method in ("fork", "spawn", "forkserver")))
    for method in ("fork", "spawn", "forkserver"):
        assert (ran.status(method), ran.recorder.out(method)) == (("ok", ""), f"{method}\n")


def test_exits_of_a_snippet_do_not_run_in_its_children(tmp_path):
    source = """
import atexit, multiprocessing, shared
def tell(text):
    with open(shared.path, "a") as file:
        file.write(text)
atexit.register(tell, "parent ")
child = multiprocessing.get_context("fork").Process(target=tell, args=("child ",))
child.start()
child.join()
"""
    with shared(path=str(tmp_path / "told")):
        assert evaluate(source).status() == ("ok", "")
    assert (tmp_path / "told").read_text() == "child parent "


def test_finalizer_that_raises_keeps_no_other_from_running():
    source = """
import multiprocessing.util
class Owner: pass
owner = Owner()
def fails(): raise KeyError("finalizer")
multiprocessing.util.Finalize(owner, fails, exitpriority=5)
multiprocessing.util.Finalize(owner, print, ("other",), exitpriority=1)
"""
    ran = evaluate(source)
    assert (ran.status(), ran.recorder.out("a")) == (("ok", ""), "other\n")
    assert "KeyError: 'finalizer'" in ran.recorder.err("a")


def test_run_that_gives_up_on_a_snippet_ends_its_children(tmp_path):
    source = """
import multiprocessing, time
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(time.sleep, [1000, 1000])
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source, timeout=1))))
    assert done.returncode == 1
    assert report_of(done.stdout) == {"a": ("failed", "timed out after 1 s")}

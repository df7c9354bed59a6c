"""Threads that snippets start."""

from __future__ import annotations

import threading

from fastrun.executors.present import PRESENT
from tests.support.documents import eval_
from tests.support.processes import LIMIT
from tests.support.runs import Evaluated, evaluate, shared


def test_snippet_sees_its_own_threads():
    source = """
import shared, threading
def look():
    print(threading.current_thread() in threading.enumerate(), threading.main_thread() is first)
first = threading.current_thread()
shared.meet.wait()
other = threading.Thread(target=look)
print(threading.enumerate() == [first], threading.main_thread() is first)
other.start()
other.join()
shared.meet.wait()
"""
    with shared(meet=threading.Barrier(2, timeout=LIMIT)):
        ran = Evaluated(eval_("a", source), eval_("b", source))
    assert [ran.recorder.out(name) for name in "ab"] == ["True True\nTrue True\n"] * 2


def test_bare_thread_prints_as_its_task():
    source = """
import _thread, threading
done = threading.Event()
def work(text, end):
    print(text, end=end)
    done.set()
_thread.start_new_thread(work, ("bare",), {"end": "!\\n"})
done.wait(60)
"""
    assert evaluate(source).recorder.out("a") == "bare!\n"


def test_thread_that_is_started_outside_of_snippets_belongs_to_none():
    started: list[threading.Thread] = []
    with shared(go=threading.Event(), said=threading.Event()) as module:

        def outside() -> None:
            module.go.wait(LIMIT)
            inner = threading.Thread(target=module.said.set)
            inner.start()
            started.append(inner)

        thread = threading.Thread(target=outside)
        thread.start()
        ran = evaluate("import shared\nshared.go.set()\nshared.said.wait(60)")
        thread.join(LIMIT)
    assert ran.status() == ("ok", "")
    assert "_fastrun_program" not in started[0].__dict__


def test_first_thread_is_the_main_one_whichever_starts_another():
    source = """
import _thread, threading
first, started = threading.current_thread(), threading.Event()
_thread.start_new_thread(lambda: threading.Thread(target=started.set).start(), ())
started.wait(60)
print(threading.main_thread() is first)
"""
    assert evaluate(source).recorder.out("a") == "True\n"


def test_thread_that_could_not_start_belongs_to_no_snippet_when_it_is_started_later(monkeypatch):
    start = threading.Thread.start

    def refuse(thread) -> None:
        if thread.name == "refused" and not module.let_it:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    source = """
import shared, threading
shared.thread = threading.Thread(target=shared.look, name="refused")
try: shared.thread.start()
except RuntimeError: print("refused")
"""
    owners: list[object] = []
    with shared(let_it=False, look=lambda: owners.append(PRESENT.program)) as module:
        ran = evaluate(source)
        module.let_it = True
        module.thread.start()
        module.thread.join()
    assert (ran.recorder.out("a"), owners) == ("refused\n", [None])

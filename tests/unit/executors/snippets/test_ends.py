"""The end of a snippet: threads, ``atexit``, children, files and temporary objects."""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading

import pytest

from tests.support.documents import eval_
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT
from tests.support.runs import Evaluated, evaluate, shared


def test_end_waits_for_threads_and_for_those_that_threads_start():
    source = """
import threading, time
said = threading.Event()
def second():
    said.wait()
    time.sleep(0.05)
    print("second")
def first():
    threading.Thread(target=second).start()
    print("first")
    said.set()
threading.Thread(target=first).start()
"""
    ran = evaluate(source)
    assert ran.recorder.out("a") == "first\nsecond\n"
    assert ran.recorder.events[-2][0] == "task_ended"


def test_end_does_not_wait_for_a_daemon():
    source = "import shared, threading\nthreading.Thread(target=shared.gate.wait, args=(60,), daemon=True).start()"
    with shared(gate=threading.Event()) as module:
        ran = evaluate(source)
        assert not module.gate.is_set()
        module.gate.set()
    assert ran.status() == ("ok", "")


def test_pools_that_are_left_open_finish_their_work_and_end():
    source = """
import concurrent.futures
pool = concurrent.futures.ThreadPoolExecutor(2)
for number in range(20):
    pool.submit(print, number)
"""
    ran = evaluate(source)
    assert sorted(map(int, ran.recorder.out("a").split())) == list(range(20))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_pool_of_another_snippet_goes_on():
    with shared(left=threading.Event(), used=threading.Event()):
        long = """
import concurrent.futures, shared
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    print(pool.submit(int, "1").result())
    shared.used.set()
    shared.left.wait(60)
    print(pool.submit(int, "2").result())
"""
        short = """
import concurrent.futures, shared
shared.used.wait(60)
pool = concurrent.futures.ThreadPoolExecutor(1)
pool.submit(int, "3")
"""
        tasks = [
            eval_("long", long),
            eval_("short", short),
            eval_("tells", "import shared; shared.left.set()", "short"),
        ]
        ran = Evaluated(*tasks)
    assert (ran.status("long"), ran.recorder.out("long")) == (("ok", ""), "1\n2\n")


def test_exits_run_in_reverse_order_after_the_threads_and_one_that_raises_stops_none():
    source = """
import atexit, sys, threading
@atexit.register
def last():
    print("last")
    atexit.register(print, "never")
atexit.register(print, "unregistered")
def fails():
    raise ValueError("in an exit")
atexit.register(fails)
atexit.register(print, "first", end="!\\n")
atexit.unregister(print)
atexit.register(print, "second", end="!\\n")
gate = threading.Event()
threading.Thread(target=lambda: (gate.wait(60), print("thread"))).start()
gate.set()
"""
    ran = evaluate(source)
    assert ran.status() == ("ok", "")
    assert ran.recorder.out("a") == "thread\nsecond!\nlast\n"
    assert ran.recorder.err("a").startswith("Exception ignored in atexit callback")
    assert "<function fails at " in ran.recorder.err("a")
    assert 'File "<task a>", line 9, in fails\n    raise ValueError("in an exit")' in ran.recorder.err("a")
    assert "executors" not in ran.recorder.err("a")


def test_exits_are_called_after_a_failure_too_and_belong_to_their_snippet():
    fails = "import atexit\natexit.register(print, 'told')\n1 / 0"
    ran = Evaluated(eval_("a", fails), eval_("b", "print('other')"), threads=1)
    assert (ran.status()[0], ran.recorder.out("a"), ran.recorder.out("b")) == ("failed", "told\n", "other\n")
    assert evaluate("import atexit\natexit.register(5)").status() == (
        "failed",
        "TypeError: the first argument must be callable",
    )


FILES = {
    "a name, and a cycle": """
file = open(shared.path, "w")
def cycle(): pass
for line in lines: file.write(line)
""",
    "an object": """
import csv
class Table:
    def __init__(self):
        self.writer = csv.writer(open(shared.path, "w"))
table = Table()
table.writer.writerows([["line"]] * 3000)
""",
    "a closure": """
def make():
    file = open(shared.path, "w")
    return lambda text: file.write(text)
write = make()
for line in lines: write(line)
""",
    "a default": """
def write(text, file=open(shared.path, "w")): file.write(text)
for line in lines: write(line)
""",
    "a class": """
class Log:
    file = open(shared.path, "w")
for line in lines: Log.file.write(line)
""",
    "a list in itself": """
def cycle(): pass
items = [open(shared.path, "w")]
items.append(items)
for line in lines: items[0].write(line)
""",
}


@pytest.mark.parametrize("held", FILES)
def test_file_that_is_left_open_is_whole(tmp_path, held):
    with shared(path=str(tmp_path / "file"), lines=["line\n"] * 3000):
        ran = evaluate(f"import shared\nfrom shared import lines\n{FILES[held]}")
    assert ran.status() == ("ok", "")
    assert (tmp_path / "file").read_text().split() == ["line"] * 3000


def test_objects_are_finalized_before_the_end_and_find_the_names_of_their_snippet():
    source = """
import sys
def say(text):
    print(text, file=sys.stdout)
class Loud:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        say(self.name)
one = Loud("one")
cycle = [Loud("in a cycle")]
cycle.append(cycle)
"""
    ran = evaluate(source)
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("one\nin a cycle\n", "")


def test_names_of_a_snippet_are_kept_for_a_daemon_that_still_runs_its_code():
    source = """
import shared, threading
word = "kept"
def late():
    shared.gate.wait(60)
    shared.said.append(word)
shared.thread = threading.Thread(target=late, daemon=True)
shared.thread.start()
"""
    with shared(gate=threading.Event(), said=[]) as module:
        assert evaluate(source).report.ok
        module.gate.set()
        module.thread.join(LIMIT)
    assert module.said == ["kept"]


def test_output_that_cannot_be_flushed_fails_its_task_as_it_fails_a_script():
    source = """
import sys
class Full:
    def write(self, text): return len(text)
    def flush(self): raise OSError(28, "No space left on device")
sys.stdout = Full()
"""
    ran = evaluate(source)
    assert ran.status() == ("failed", "exit status 120")
    assert "No space left on device" in ran.recorder.err("a")
    assert evaluate(source.replace("stdout", "stderr")).status() == ("ok", "")


class OutOfTimeAtItsEnd(Recorder):
    """Has the time of a snippet be over once its end waits for a thread."""

    def task_started(self, number, task, start) -> None:
        super().task_started(number, task, start)
        asyncio.get_running_loop().call_soon(self.look, number)

    def look(self, number: int) -> None:
        if self.executor._crew.interpreter.name_thread(number):
            self.run._deadlines._time_is_over(number)
        else:
            asyncio.get_running_loop().call_later(0.001, self.look, number)


def test_time_that_is_over_while_a_thread_is_awaited_names_the_thread():
    source = "import shared, threading\nthreading.Thread(target=shared.gate.wait, args=(60,), name='up\\nload').start()"
    with shared(gate=threading.Event()) as module:
        ran = Evaluated(eval_("a", source, timeout=LIMIT), recorder=OutOfTimeAtItsEnd())
        module.gate.set()
        for thread in ran.executor._threads:
            thread.join()
    assert ran.status() == ("failed", f"timed out after {LIMIT} s")
    assert ran.warnings == ["a: its thread up\\nload still runs after its timeout; it ends with fastrun"]


def test_module_registers_its_exits_for_the_process(tmp_path):
    (tmp_path / "keeps.py").write_text("import atexit, shared\natexit.register(shared.exits.append, 'late')\n")
    source = f"import sys\nsys.path.append({str(tmp_path)!r})\nimport keeps"
    with shared(exits=[]) as module:
        try:
            assert evaluate(source).report.ok
            assert module.exits == []
        finally:
            atexit.unregister(module.exits.append)
            sys.modules.pop("keeps", None)


FIGHTING = {
    "class": "class E:\n    __class__ = property(lambda self: 1 / 0)\ne = E()",
    "name": "globals()[5] = 1",
    "flush": "import io\nclass F(io.RawIOBase):\n    def flush(self): raise SystemExit(3)\nf = F()",
    "namespace": "class M(type):\n    __dict__ = property(lambda cls: 1 / 0)\nclass C(metaclass=M): pass",
    "join": (
        "import threading\nclass T(threading.Thread):\n    def join(self, timeout=None): raise KeyError('join')\n"
        "gate = threading.Event()\nT(target=gate.wait, args=(60,)).start()\ngate.set()"
    ),
}


@pytest.mark.parametrize("fights", FIGHTING)
def test_object_that_fights_back_at_the_end_harms_nothing(fights):
    ran = Evaluated(eval_("a", f"def cycle(): pass\n{FIGHTING[fights]}"), eval_("b", "print('on')"), threads=1)
    assert (ran.status("a"), ran.status("b")) == (("ok", ""), ("ok", ""))


def test_end_that_raises_fails_its_task_alone():
    source = """
class Odd(str):
    def __str__(self): raise KeyError("at the end")
globals()[Odd("name")] = 1
"""
    ran = Evaluated(eval_("a", source), eval_("b", "print('on')", "a", when="always"), threads=1)
    assert (ran.status("a"), ran.status("b")) == (("failed", "KeyError: 'at the end'"), ("ok", ""))


# Functions that raise, and that print in what runs next: with and without something to tidy up at the end.
HOOKS = [
    "__import__('sys').settrace(lambda *_: 1 / 0)",
    "import sys\nsys.settrace(lambda *_: 1 / 0)",
    "import sys\nsys.settrace(print)\ndel sys",
    "import sys\nclass Late:\n    def __del__(self): sys.settrace(print)\nlate = Late()",
]


@pytest.mark.parametrize("source", HOOKS)
def test_trace_function_that_a_snippet_leaves_sees_nothing_of_the_next(source):
    ran = Evaluated(eval_("a", source), eval_("b", "x = 1\nprint('on')", "a"), threads=1)
    assert (ran.status("a"), ran.status("b"), ran.recorder.out("b")) == (("ok", ""), ("ok", ""), "on\n")


def test_trace_function_that_raises_does_not_hide_an_exception():
    ran = evaluate("import sys\nsys.settrace(lambda *_: 1 / 0)\n{}['x']")
    assert ran.status() == ("failed", "KeyError: 'x'")


def test_profiler_that_a_snippet_leaves_sees_nothing_of_the_next():
    # It would be called in code of fastrun, without its names.
    ran = Evaluated(
        eval_("a", "import sys\nsys.setprofile(lambda *_: print)"), eval_("b", "print('on')", "a"), threads=1
    )
    assert (ran.status("a"), ran.status("b"), ran.recorder.out("b")) == (("ok", ""), ("ok", ""), "on\n")
    assert evaluate("import sys\nassert sys.getprofile() is None").status() == ("ok", "")

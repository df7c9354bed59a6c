"""What snippets and those around them print, and where it goes."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.support.amounts import many
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, environment, fastrun, report_of, unmeasured
from tests.support.runs import Evaluated, evaluate, shared

# Each leaves a thread behind that prints on, and all of them compete for the interpreter's lock.
RUNS = many("runs under threads that print", 10, 30)


def test_prints_belong_to_the_task_that_called_them():
    # All are inside at the same time: each waits for the others.
    source = "from shared import barrier\nfor i in range(50):\n    print({0}, i)\n    if i == 25: barrier.wait()\n"
    with shared(barrier=threading.Barrier(4, timeout=LIMIT)):
        ran = Evaluated(*(eval_(str(i), source.format(i)) for i in range(4)), threads=4)
    for i in range(4):
        assert ran.recorder.out(str(i)) == "".join(f"{i} {j}\n" for j in range(50))


def test_threads_that_a_snippet_starts_print_as_their_task():
    source = """
import threading, concurrent.futures as cf
class Own(threading.Thread):
    def run(self):
        print('own')
        inner = threading.Thread(target=print, args=('inner',)); inner.start(); inner.join()
thread = Own(); thread.start(); thread.join()
with cf.ThreadPoolExecutor(2) as pool:
    list(pool.map(print, ['pool'] * 3))
"""
    ran = evaluate(source)
    assert ran.status() == ("ok", "")
    assert sorted(ran.recorder.out("a").split()) == ["inner", "own", "pool", "pool", "pool"]


def test_bytes_and_odd_text_pass_unchanged():
    source = """
import os
import sys
sys.stdout.buffer.write(bytes(range(256)))
sys.stdout.write('\\udcff')
sys.stderr.write('\\ud800')
assert sys.stdout.encoding == 'utf-8' and not sys.stdout.isatty() and sys.stdout.fileno() == 1
assert sys.stdout.line_buffering and sys.stderr.write_through
print(end='', flush=True)
sys.stdout.writelines(['x', 'y'])
"""
    ran = evaluate(source)
    assert ran.status() == ("ok", "")
    assert ran.recorder.output["a", 1] == bytes(range(256)) + b"\xffxy"
    assert ran.recorder.err("a") == "\\ud800"


def test_asyncio_works_inside_a_snippet():
    source = """
import asyncio
async def child(n):
    await asyncio.sleep(0)
    print(n)
async def main():
    await asyncio.gather(*(child(n) for n in range(3)), asyncio.to_thread(print, 'thread'))
asyncio.run(main())
"""
    ran = evaluate(source)
    assert ran.status() == ("ok", "")
    assert sorted(ran.recorder.out("a").split()) == ["0", "1", "2", "thread"]


def test_a_thread_that_outlives_its_task_prints_where_it_would_without_us(capfd):
    source = """
import shared, threading
def late():
    shared.gate.wait()
    print('late')
shared.thread = threading.Thread(target=late, daemon=True)
shared.thread.start()
"""
    with shared(gate=threading.Event()) as module:
        try:
            assert evaluate(source).report.ok
        finally:
            module.gate.set()
            module.thread.join(LIMIT)
    assert capfd.readouterr().out == "late\n"


def test_bytes_of_a_thread_that_outlives_its_task_go_where_they_would_without_us(capfdbinary):
    source = """
import shared, sys, threading
def late():
    shared.gate.wait()
    sys.stdout.buffer.write(b'\\xff')
shared.thread = threading.Thread(target=late, daemon=True)
shared.thread.start()
"""
    with shared(gate=threading.Event()) as module:
        try:
            assert evaluate(source).report.ok
        finally:
            module.gate.set()
            module.thread.join(LIMIT)
    assert capfdbinary.readouterr().out == b"\xff"


def test_others_in_the_process_print_where_they_would_without_us(capfd):
    class Printer(Recorder):
        def task_started(self, number, task, start) -> None:
            super().task_started(number, task, start)
            print("from the loop")
            print("and its errors", file=sys.stderr)

    ran = evaluate("print('mine')", recorder=Printer())
    assert ran.recorder.out("a") == "mine\n"
    assert capfd.readouterr() == ("from the loop\n", "and its errors\n")


def test_output_of_a_forked_child_is_not_lost(tmp_path):
    source = (
        "import multiprocessing as m\n"
        "p = m.get_context('fork').Process(target=lambda: print('x' * 3_000_000 + 'from child', flush=True))\n"
        "p.start(); p.join(); print(p.exitcode)"
    )
    result = fastrun(write_json(tmp_path, document(eval_("a", source))))
    assert result.returncode == 0
    assert b"xfrom child" in result.stdout
    assert b"0\n" in result.stdout


def test_output_of_an_observer_is_not_the_tasks(capfd):
    class Printer(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            print(data)

    ran = evaluate("import time; time.sleep(0); print('x')", recorder=Printer())
    assert ran.recorder.out("a") == "x\n"
    assert "b'x\\n'" in capfd.readouterr().out


def test_a_stream_that_a_snippet_closes_stays_open_for_the_others():
    source = "from sys import stdout as s; s.reconfigure(line_buffering=True); print(s.name, s.mode); s.close()"
    ran = Evaluated(eval_("a", source), eval_("b", "print('on', flush=True)", "a"))
    assert ran.report.ok
    assert (ran.recorder.out("a"), ran.recorder.out("b")) == ("<stdout> w\n", "on\n")
    assert evaluate("import sys; sys.stdout.write(5)").status()[1].startswith("TypeError: write() argument must be str")


def test_streams_are_put_back_under_a_thread_that_is_printing(tmp_path):
    # The streams are not to be freed while it is in one of them, which ended the process by SIGSEGV.
    tasks = [eval_("a", "import threading\nthreading.Thread(target=print_on, daemon=True).start()")]
    code = f"""
import builtins, fastrun
builtins.print_on = lambda: [print(number) for number in iter(int, 1)]
for _ in range({RUNS}):
    assert fastrun.run({document(*tasks)!r}).ok
"""
    command = [sys.executable, "-c", code + "import os; os._exit(0)"]
    result = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=unmeasured(), timeout=LIMIT, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_a_snippet_deletes_is_back_after_the_run(stream):
    assert evaluate(f"import sys\ndel sys.{stream}").report.ok
    # The fixture for what tests leave behind compares which it is.
    assert hasattr(sys, stream)


def test_a_snippet_that_deletes_the_streams_is_reported(tmp_path):
    tasks = [eval_("a", "import sys\ndel sys.stdout, sys.stderr"), exec_("b", "exit 3", "a")]
    result = fastrun("--json", "/dev/full", write_json(tmp_path, document(*tasks)))
    assert (result.returncode, report_of(result.stdout)) == (3, {"a": ("ok", ""), "b": ("failed", "exit status 3")})
    assert b"/dev/full: No space left on device" in result.stderr


def test_the_original_streams_belong_to_the_task_as_well():
    ran = evaluate("import sys\nsys.__stdout__.write('out')\nsys.__stderr__.write('err')")
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("out", "err")


def test_a_closed_stream_takes_no_bytes():
    ran = evaluate("import sys\nbuffer = sys.stdout.buffer\nsys.stdout.close()\nbuffer.write(b'lost')")
    assert (ran.status()[1][:11], ran.recorder.out("a")) == ("ValueError:", "")


def test_standard_input_is_closed_at_the_end(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "import sys\nprint(repr(sys.stdin.read()))")))
    done = fastrun(path, env=environment(PYTHONWARNINGS="always"))
    assert (done.stdout.splitlines()[1], done.stderr) == (b"''", b"")

"""Copies of the process that snippets fork off."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from fastrun.executors.guardian.proc import start_time
from fastrun.executors.snippets import forks as forks_module
from fastrun.executors.snippets.forks import Copies
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, fastrun, report_of, wait_for
from tests.support.runs import Evaluated, evaluate, shared

pytestmark = pytest.mark.usefixtures("unmeasured_processes")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("SIGTERM", {"-15"}),
        ("SIGHUP", {"-1"}),
        # 1: it has come so far that KeyboardInterrupt is raised in its own code.
        ("SIGINT", {"-2", "1"}),
    ],
)
def test_signal_that_comes_at_once_ends_a_copy(tmp_path, name, ends):
    # In a process of its own, whose handlers are those of the command line.
    source = f"""
import os, signal, time
for _ in range(30):
    pid = os.fork()
    if not pid:
        time.sleep(60)
        os._exit(77)
    os.kill(pid, signal.{name})
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))))
    assert report_of(done.stdout) == {"a": ("ok", "")}
    lines = done.stdout.decode().partition("Report:")[0].splitlines()
    assert set(lines) - {"Started: a", "Ended : a"} <= ends
    assert b"Exception ignored" not in done.stderr


def test_blocked_signals_are_as_before_in_parent_and_copy():
    source = """
import os, signal
before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
pid = os.fork()
same = signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
if not pid:
    os._exit(0 if same else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert evaluate(source).recorder.out("a") == "True 0\n"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("sys.exit(7)", 7),
        ("sys.exit('text')", 1),
        ("sys.exit(256 + 3)", 3),
        ("1 / 0", 1),
        ("threading.Thread(target=print).start()", 0),
    ],
)
def test_copy_ends_as_a_script_ends(end, status):
    source = f"""
import os, sys, threading
pid = os.fork()
if not pid:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    {end}
else:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    ran = evaluate(source)
    assert (ran.status(), ran.recorder.out("a")) == (("ok", ""), f"{status}\n")


def test_exits_of_the_snippet_run_in_its_copy_too(tmp_path):
    source = """
import atexit, os, shared
def tell():
    with open(shared.path, "a") as file:
        file.write("told\\n")
atexit.register(tell)
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
"""
    with shared(path=str(tmp_path / "told")):
        assert evaluate(source).report.ok
    assert (tmp_path / "told").read_text() == "told\n" * 2


def test_copy_can_start_threads_use_temporary_files_and_import(tmp_path):
    (tmp_path / "late.py").write_text("value = 5\n")
    source = f"""
import os, sys, tempfile, threading
sys.path.append({str(tmp_path)!r})
pid = os.fork()
if not pid:
    found = []
    def work():
        import late
        with tempfile.TemporaryFile() as file:
            found.append(late.value)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os._exit(found[0])
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert evaluate(source).recorder.out("a") == "5\n"


def test_copy_imports_anew_what_another_thread_was_importing(tmp_path):
    slow = (
        "import shared\nshared.runs.append(1)\nif len(shared.runs) == 1: shared.inside.set() or shared.gate.wait(60)\n"
    )
    (tmp_path / "slow.py").write_text(slow)
    importing = f"import sys\nsys.path.append({str(tmp_path)!r})\nimport slow"
    forking = f"""
import os, shared, sys
sys.path.append({str(tmp_path)!r})
shared.inside.wait(60)
pid = os.fork()
if not pid:
    import slow
    os._exit(len(shared.runs))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
shared.gate.set()
"""
    try:
        with shared(runs=[], inside=threading.Event(), gate=threading.Event()):
            ran = Evaluated(eval_("importing", importing), eval_("forking", forking))
    finally:
        sys.modules.pop("slow", None)
    assert (ran.report.ok, ran.recorder.out("forking")) == (True, "2\n")


def test_a_copy_wakes_no_pool_of_another_snippet_at_its_end():
    source = """
import multiprocessing, os, threading
from concurrent.futures import process
class Pool:
    def wakeup(self, *_): os._exit(7)
process._threads_wakeups[threading.current_thread()] = Pool()
try:
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join()
    print(child.exitcode)
finally:
    del process._threads_wakeups[threading.current_thread()]
"""
    ran = evaluate(source)
    assert (ran.status(), ran.recorder.out("a")) == (("ok", ""), "0\n")


def test_copies_that_a_snippet_leaves_are_ended_and_named_once(tmp_path):
    source = """
import os, time
for _ in range(2):
    if not os.fork():
        if not os.fork():
            os.setsid()
        time.sleep(1000)
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source), exec_("b", "true", "a"))))
    assert (done.returncode, set(report_of(done.stdout).values())) == (0, {("ok", "")})
    assert done.stderr == b"fastrun: warning: a: left a process behind; it is ended\n"


def test_copy_of_a_copy_that_was_ended_before_it_added_itself_is_ended(tmp_path):
    # As on a busy machine: it comes to run only when the run has ended all that has added itself.
    source = """
import os, time
from fastrun.executors.snippets import forks as forks_module
from fastrun.executors.snippets.forks import Copies
def add_late(self, name):
    time.sleep(0.5)
    add(self, name)
if not os.fork():
    add, Copies.add = Copies.add, add_late
    if not os.fork():
        time.sleep(1000)
    os.kill(os.getpid(), 9)
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))))
    assert done.returncode == 0
    assert done.stderr == b"fastrun: warning: a: left a process behind; it is ended\n"


def test_copies_are_ended_though_snippets_close_each_others_descriptors(tmp_path):
    # As two snippets that each open the number of standard output anew: the file that is opened between the two ends
    # gets the number, and the second end closes it.
    source = """
import os, time
os.close(1)
if not os.fork():
    time.sleep(1000)
os.close(1)
"""
    ends = "import contextlib, os\nwith contextlib.suppress(OSError):\n    os.close(1)"
    done = fastrun(write_json(tmp_path, document(eval_("a", source.replace("os.close(1)\n", f"{ends}\n")))))
    assert done.returncode == 0
    assert done.stderr == b"fastrun: warning: a: left a process behind; it is ended\n"


def test_fork_beside_an_import_that_logs_ends():
    imports = """
import _imp, logging, shared, time
while not shared.done.is_set():
    # As an import in which a collection finalizes what logs.
    _imp.acquire_lock()
    time.sleep(0)
    logging.getLogger("any")
    _imp.release_lock()
"""
    forks = """
import os, shared
for _ in range(100):
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
shared.done.set()
"""
    with shared(done=threading.Event()):
        assert Evaluated(eval_("imports", imports), eval_("forks", forks)).report.ok


def test_snippet_that_was_given_up_on_starts_no_more_processes(tmp_path):
    source = """
import os, signal, subprocess
os.kill(os.getpid(), signal.SIGINT)
while True:
    subprocess.run(["sleep", "1000"])
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))), "--grace", "0")
    assert done.returncode == 130


# Python warns of any other thread of the process that runs the tests.
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@forks
def test_a_copy_may_come_to_light_as_long_as_one_lives():
    copies = Copies()
    assert not copies.may_come()
    copies.open()
    reader, writer = os.pipe()
    try:
        pid = os.fork()
        if not pid:
            if not os.fork():
                os.read(reader, 1)
            os._exit(0)
        os.waitpid(pid, 0)
        # The copy of the copy has not added itself.
        assert (copies.may_come(), list(copies.living())) == (True, [])
        os.write(writer, b"x")
        while copies.may_come():
            pass
    finally:
        copies.close()
        os.close(reader)
        os.close(writer)
    assert not copies.may_come()


@forks
def test_copies_are_known_until_they_have_ended():
    copies = Copies()
    assert list(copies.living()) == []
    copies.add("not open")
    copies.open()
    copies.open()
    try:
        pid = os.fork()
        if not pid:
            copies.add("two words\n")
            signal.pause()
            os._exit(0)
        while not (found := list(copies.living())):
            pass
        [(identity, name)] = found
        assert (identity.pid, identity.start, name) == (pid, start_time(pid), b"two words\n")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert list(copies.living()) == []
    finally:
        copies.close()
    assert list(copies.living()) == []


def test_a_program_does_not_wait_for_the_copies_of_other_snippets(tmp_path):
    done = tmp_path / "done"
    copies = f"""
import os, time
pids = []
for _ in range(100):
    pid = os.fork()
    if not pid:
        while not os.path.exists({str(done)!r}):
            time.sleep(0.01)
        os._exit(0)
    pids.append(pid)
print([os.waitpid(pid, 0)[1] for pid in pids] == [0] * 100)
"""
    starts = "import subprocess\nfor _ in range(100):\n    subprocess.run(['true'])"
    tasks = [eval_("copies", copies), *(eval_(name, starts) for name in "ab")]
    tasks.append(eval_("done", f"open({str(done)!r}, 'w')", "a", "b"))
    result = fastrun(write_json(tmp_path, document(*tasks)))
    assert {status for status, _ in report_of(result.stdout).values()} == {"ok"}
    assert b"True\n" in result.stdout


def test_a_fork_and_the_start_of_a_program_wait_for_each_other(monkeypatch):
    monkeypatch.setattr(forks_module, "_MOMENT", LIMIT)
    starts = forks_module.Starts()
    steps: list[str] = []

    def fork():
        starts.begin_fork()
        steps.append("forks")
        starts.end_fork()

    starts.begin_program()
    # With preexec_fn, a start is a fork itself.
    fork()
    thread = threading.Thread(target=fork)
    thread.start()
    wait_for(lambda: len(starts._changed._waiters) == 1)  # type: ignore[attr-defined]
    steps.append("started")
    starts.end_program()
    thread.join()
    assert steps == ["forks", "started", "forks"]

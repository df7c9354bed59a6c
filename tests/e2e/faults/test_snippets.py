"""Faults of snippets, which run in fastrun's own process."""

from __future__ import annotations

import signal

import pytest

from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, alive, environment, fastrun, fastrun_process, report_of, unmeasured, wait_for

AFTER = (eval_("after", "print('fine')"), exec_("command", "true"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise SystemExit", ""),
        ("raise SystemExit(0)", ""),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise SystemExit('text')", "SystemExit: text"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise StopIteration(1)", "StopIteration: 1"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("class Own(BaseException): pass\nraise Own('x')", "Own: x"),
        ("def (", "SyntaxError"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("class Odd(Exception):\n def __str__(self): raise ValueError\nraise Odd", "Odd"),
        ("raise MemoryError", "MemoryError"),
        ("x = bytearray(1 << 60)", "MemoryError"),
    ],
)
def test_no_exception_of_any_class_ends_the_run(tmp_path, source, reason):
    result = fastrun(write_json(tmp_path, document(eval_("a", source), *AFTER)))
    report = report_of(result.stdout)
    assert report["a"][0] == ("failed" if reason else "ok")
    assert report["a"][1].startswith(reason)
    assert report["after"] == report["command"] == ("ok", "")
    assert result.returncode == (1 if reason else 0)


def test_fork_without_exit_leaves_one_runner(tmp_path):
    result = fastrun(write_json(tmp_path, document(eval_("a", "import os\nos.fork()\nx = 1"), *AFTER)))
    assert result.returncode == 0
    assert result.stdout.count(b"Report:") == 1
    assert result.stdout.count(b"Started: after") == 1


def test_command_whose_status_a_snippet_takes_has_failed(tmp_path):
    """While the robber keeps the interpreter for itself the engine in Python does not look at commands that end."""
    rob = """
import ctypes, os, sys, time
# No other thread is let in between the two calls; those that wait already are once.
sys.setswitchinterval(1000)
time.sleep(0.01)
while not os.path.exists("pid"):
    time.sleep(0.001)
pid = int(open("pid").read())
library = ctypes.PyDLL(None)
library.kill(pid, 9)
assert library.waitpid(pid, None, 0) == pid
"""
    robbed = exec_("robbed", "echo $$ > pid.new; mv pid.new pid; exec sleep 1000")
    path = write_json(tmp_path, document(robbed, eval_("robber", rob)))
    env = environment(FASTRUN_ENGINE="python")
    report = report_of(fastrun("--no-guardian", path, cwd=tmp_path, env=env).stdout)
    assert report["robber"] == ("ok", "")
    assert report["robbed"] == ("failed", "exit status lost")


@pytest.mark.parametrize(
    ("source", "code"),
    [("import os; os._exit(5)", 5), ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV)],
    ids=["exit", "crash"],
)
def test_end_of_the_process_is_named_by_the_guardian_and_the_journal_is_whole(tmp_path, source, code):
    tasks = [exec_("before", "true"), eval_("culprit", source, "before"), exec_("later", "true", "culprit")]
    write_json(tmp_path, document(*tasks))
    with fastrun_process("--journal", "j", "tasks.json", cwd=tmp_path) as process:
        _, said = process.communicate(timeout=LIMIT)
        assert process.returncode == code
    assert b"snippets that ran then: culprit" in said
    write_json(tmp_path, document(*tasks[:1], eval_("culprit", "x = 1", "before"), tasks[2]))
    result = fastrun("--journal", "j", "--resume", "tasks.json", cwd=tmp_path)
    assert result.returncode == 0
    assert report_of(result.stdout)["before"] == ("ok", "from the journal")
    assert b"damaged" not in result.stderr


def test_changes_of_the_process_do_not_reach_commands(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    change = "import os; os.chdir('elsewhere'); os.environ['LEAK'] = 'yes'; os.umask(0o777)"
    command = "pwd; echo ${LEAK-none}; umask"
    path = write_json(tmp_path, document(exec_("b", command, "a"), eval_("a", change)))
    result = fastrun(path, cwd=tmp_path)
    lines = result.stdout.decode().splitlines()
    place = lines.index("Started: b")
    assert lines[place + 1 : place + 3] == [str(tmp_path), "none"]
    assert lines[place + 3] != "0777"


def test_writes_to_the_descriptor_and_os_system_appear_in_whole_lines(tmp_path):
    source = "import os\nfor i in range(50):\n os.write(1, b'direct\\n')\n os.system('echo system')"
    noise = exec_("noise", "i=0; while [ $i -lt 500 ]; do echo noise; i=$((i+1)); done")
    result = fastrun(write_json(tmp_path, document(eval_("a", source), noise)))
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert [lines.count(text) for text in (b"direct", b"system", b"noise")] == [50, 50, 500]


@pytest.mark.parametrize(
    "source",
    ["while True: pass", "import time; time.sleep(1000)", "import ctypes; ctypes.PyDLL(None).usleep(500_000)"],
    ids=["endless", "asleep", "keeps the lock"],
)
def test_timeout_gives_up_on_a_snippet_and_the_run_ends(tmp_path, source):
    tasks = [eval_("a", source, timeout=0.2), eval_("b", "x = 1"), eval_("c", "x = 1", "a")]
    env = unmeasured() if "while" in source else environment()
    result = fastrun("--eval-threads", "1", write_json(tmp_path, document(*tasks)), env=env)
    report = report_of(result.stdout)
    assert report["b"] == ("ok", "")
    if "usleep" in source and result.returncode == 0:
        # It kept everybody from looking at the time, and then came to its end before somebody could.
        assert (report["a"], report["c"]) == (("ok", ""), ("ok", ""))
        return
    assert result.returncode == 1
    assert report["a"] == ("failed", "timed out after 0.2 s")
    assert report["c"] == ("skipped", "a failed")
    if "usleep" not in source:
        assert b"a: still runs after its timeout; it ends with fastrun" in result.stderr


def test_second_sigint_ends_at_once_whatever_a_snippet_does(tmp_path):
    witness = exec_("b", "trap 'touch asked' TERM; touch began; while :; do sleep 0.01; done")
    path = write_json(tmp_path, document(eval_("a", "open('busy', 'w').close()\nwhile True: pass"), witness))
    with fastrun_process("--grace", "1000", path, cwd=tmp_path, env=unmeasured()) as process:
        wait_for((tmp_path / "began").exists)
        wait_for((tmp_path / "busy").exists)
        process.send_signal(signal.SIGINT)
        wait_for((tmp_path / "asked").exists)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 130
    assert report_of(out) == dict.fromkeys("ab", ("interrupted", ""))


PRINTS_ON = "import threading\nthreading.Thread(target=lambda: [print(i) for i in iter(int, 1)], daemon=True).start()"


def test_an_interrupt_is_heard_while_a_snippet_is_in_os_system_and_its_command_is_ended(tmp_path):
    command = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000"
    path = write_json(tmp_path, document(eval_("a", f"import os; os.system({command!r})"), exec_("b", "true", "a")))
    with fastrun_process("--grace", "0.1", path, cwd=tmp_path) as process:
        wait_for((tmp_path / "pid").exists)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert {status for status, _ in report_of(out).values()} == {"interrupted"}
    assert b"a: left a process behind; it is ended" in err
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("call", ["os.execv('/bin/true', ['true'])", "os.execvpe('true', ['true'], {})"])
def test_a_snippet_in_a_thread_does_not_become_another_program(tmp_path, call):
    copy = (
        "import os\npid = os.fork()\nif not pid: os.execv('/bin/sh', ['sh', '-c', 'exit 3'])\n"
        "assert os.waitpid(pid, 0)[1] == 3 << 8"
    )
    tasks = [eval_("a", f"import os; {call}"), exec_("b", "true", "a"), eval_("copy", copy)]
    tasks.append(eval_("process", f"import os; {call}", where="process"))
    report = report_of(fastrun(write_json(tmp_path, document(*tasks))).stdout)
    assert report["a"][0] == "failed"
    assert report["a"][1].startswith("RuntimeError: a snippet in a thread cannot become another program")
    assert [report[name] for name in ("b", "copy", "process")] == [("skipped", "a failed"), ("ok", ""), ("ok", "")]


def test_thread_that_is_left_printing_harms_nothing_and_is_silent_once_the_report_begins(tmp_path):
    path = write_json(tmp_path, document(eval_("a", PRINTS_ON), exec_("b", "sleep 0.2", "a")))
    result = fastrun(path, env=unmeasured())
    assert (result.returncode, result.stderr) == (0, b"")
    report = result.stdout[result.stdout.index(b"Report:\n") :]
    assert [line.split()[0] for line in report.splitlines()] == [b"Report:", b"ok", b"ok", b"2"]


def test_snippet_that_prints_on_when_all_is_to_end_harms_nothing(tmp_path):
    # Nobody reads what it prints, so that it is given up on in the middle of that.
    endless = "import pathlib\npathlib.Path('began').touch()\nwhile True: print(1)"
    path = write_json(tmp_path, document(eval_("a", endless)))
    with fastrun_process("--grace", "0.2", path, cwd=tmp_path, env=unmeasured()) as process:
        wait_for((tmp_path / "began").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 143

"""One snippet: its code, how it leaves, and what its failure is called."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from fastrun import Task
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.present import PRESENT
from fastrun.executors.snippets import snippet
from fastrun.executors.snippets.program import Program
from fastrun.executors.snippets.snippet import Interpreter
from fastrun.outcome import OK
from tests.support.documents import document, eval_, write_json
from tests.support.processes import LIMIT, environment, fastrun, report_of
from tests.support.runs import Evaluated, evaluate, shared

LEAVES = {
    "pass": "ok",
    "import sys; sys.exit()": "ok",
    "import sys; sys.exit(0)": "ok",
    "import sys; sys.exit(False)": "ok",
    "raise SystemExit(None)": "ok",
    "import sys; sys.exit(1)": "failed",
    "import sys; sys.exit(256)": "failed",
    "import sys; sys.exit(-1)": "failed",
    "import sys; sys.exit(1.0)": "failed",
    "import sys; sys.exit('')": "failed",
    "import sys; sys.exit([])": "failed",
    "class E(SystemExit): pass\nraise E(0)": "ok",
    "class N(int):\n    def __eq__(self, other): return True\n    __hash__ = None\nraise SystemExit(N(3))": "failed",
    "raise SystemExit(1, 2)": "failed",
    "import sys\nsys.excepthook = lambda *_: sys.exit(0)\n1 / 0": "ok",
    "import sys\nsys.excepthook = lambda *_: sys.exit(4)\n1 / 0": "failed",
    "import sys\nsys.excepthook = lambda *_: 1 / 0\nint('x')": "failed",
}


@pytest.mark.parametrize("source", LEAVES)
def test_snippet_is_ok_where_its_script_exits_with_0(source):
    ran = evaluate(source)
    assert ran.status()[0] == LEAVES[source]
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, timeout=LIMIT, check=False)
    # A status of which the lowest eight bits are 0 is 0 to other processes; the snippet said another number.
    assert (done.returncode == 0) == (LEAVES[source] == "ok" or "256" in source)


@pytest.mark.parametrize(("value", "shown"), [("'gone'", "gone\n"), ("[1]", "[1]\n"), ("1.5", "1.5\n"), ("3", "")])
def test_value_that_is_no_number_is_printed(value, shown):
    assert evaluate(f"raise SystemExit({value})").recorder.err("a") == shown


def test_hook_that_fails_is_shown_with_what_it_was_to_show():
    text = evaluate("import sys\ndef hook(*_): raise KeyError('hook')\nsys.excepthook = hook\nint('x')").recorder.err(
        "a"
    )
    assert text.startswith("Error in sys.excepthook:\nTraceback")
    assert text.index("KeyError: 'hook'") < text.index("Original exception was:") < text.index("ValueError: invalid")
    assert "executors" not in text


@pytest.mark.parametrize(
    "change", ["sys.stderr = io.StringIO()", "sys.stderr.close()", "sys.stderr = None", "del sys.stderr"]
)
def test_traceback_goes_to_what_the_snippet_has_for_its_standard_error(change):
    ran = evaluate(f"import io, sys\n{change}\n1 / 0")
    assert ran.status() == ("failed", "ZeroDivisionError: division by zero")
    assert ran.recorder.err("a").endswith("ZeroDivisionError: division by zero\n") == ("StringIO" not in change)


def test_equal_sources_share_code_under_the_names_of_their_tasks():
    ran = Evaluated(*(eval_(name, "x = 1\n1 / 0") for name in "abc"), threads=1)
    for name in "abc":
        assert f'File "<task {name}>", line 2, in <module>' in ran.recorder.err(name)


def test_functions_of_equal_sources_have_the_names_of_their_tasks():
    source = "def fails(): 1 / 0\nfails()"
    ran = Evaluated(*(eval_(name, source) for name in "ab"), threads=1)
    for name in "ab":
        assert ran.recorder.err(name).count(f'File "<task {name}>"') == 2


@pytest.mark.parametrize("where", ["thread", "process"])
def test_script_is_what_python_runs_of_the_same_file(tmp_path, where):
    (tmp_path / "tool.py").write_text(
        "import os, sys\nprint(sys.argv, os.path.basename(__file__), __name__, __loader__.name)\nraise KeyError(5)\n"
    )
    write_json(tmp_path, document({"name": "a", "type": "eval", "script": "tool.py", "where": where}))
    done = fastrun("--report", "none", "tasks.json", cwd=tmp_path)
    script = [sys.executable, tmp_path / "tool.py"]
    plain = subprocess.run(script, cwd=tmp_path, env=environment(), capture_output=True, timeout=LIMIT, check=False)
    out = plain.stdout.replace(bytes(tmp_path / "tool.py"), b"tool.py")
    assert done.stdout.startswith(b"Started: a\n%sEnded : a\n" % out)
    full = bytes(tmp_path / "tool.py")
    printed, _, told = done.stderr.rpartition(b"fastrun: a: ")
    assert told == (b"KeyError: 5\n" if where == "thread" else b"exit status 1\n")
    assert printed.replace(full, b"tool.py") == plain.stderr.replace(full, b"tool.py")


@pytest.mark.parametrize("where", ["thread", "process"])
def test_name_of_a_script_is_the_bytes_of_the_document_in_any_locale(tmp_path, where):
    (tmp_path / "pr\u00fcfen.py").write_text("import os, sys\nprint(os.fsencode(sys.argv[0]), os.fsencode(__file__))")
    write_json(tmp_path, document({"name": "a", "type": "eval", "script": "pr\u00fcfen.py", "where": where}))
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = fastrun("tasks.json", cwd=tmp_path, env=environment(**plain))
    name = "pr\u00fcfen.py".encode()
    assert str(name).encode() in done.stdout, done
    assert done.returncode == 0


def test_script_that_is_gone_or_does_not_compile_fails_its_task(tmp_path):
    (tmp_path / "gone.py").write_text("")
    (tmp_path / "bad.py").write_text("x = 1\ny = = 2\n")
    remove = eval_("remove", "import os\nos.unlink('gone.py')")
    scripts = [
        {"name": name, "type": "eval", "script": f"{name}.py", "dependencies": ["remove"]} for name in ("gone", "bad")
    ]
    write_json(tmp_path, document(remove, *scripts))
    done = fastrun("tasks.json", cwd=tmp_path)
    report = report_of(done.stdout)
    assert report["gone"][1].startswith("FileNotFoundError: ")
    assert report["bad"][1].startswith("SyntaxError: invalid syntax")
    assert b"y = = 2" in done.stderr


def interpreted(*tasks: Task, on_failure=None) -> list[Any]:
    """Run tasks as numbers 0, 1 and so on. Return what they printed and their outcomes, in order."""
    told: list[Any] = []

    def write(_number, _stream, data) -> bool:
        told.append(data)
        return True

    interpreter, guardian = Interpreter("run", write, on_failure), Guardian("run", wanted=False)
    try:
        for number, task in enumerate(tasks):
            told.append(contextvars.Context().run(interpreter.run, number, task))
    finally:
        PRESENT.program = None
        asyncio.run(interpreter.close(guardian, 0.0, print))
        guardian.stop()
    return told


def test_script_of_another_machine_runs_from_its_text():
    # Its text is that of another task as well, whose code is kept.
    source = "print(__file__, end='')"
    tasks = [Task("a", "eval", source, script=script) for script in (None, "/missing/a.py")]
    assert interpreted(*tasks) == [b"<task a>", OK, b"/missing/a.py", OK]


def test_failure_is_told_before_it_is_described():
    told: list[int] = []
    source = (
        "class E(Exception):\n    def __str__(self):\n        import shared\n        return str(shared.told)\nraise E"
    )
    with shared(told=told):
        outcome = interpreted(Task("a", "eval", source), on_failure=told.append)[-1]
    assert outcome.detail == "E: [0]"


def test_exit_and_a_failure_of_a_copy_are_not_told(tmp_path):
    path = tmp_path / "told"
    copy = "import os\nif os.fork() == 0: raise KeyError\nprint(os.waitstatus_to_exitcode(os.wait()[1]), end='')"
    tasks = [Task("exit", "eval", "raise SystemExit(0)"), Task("copy", "eval", copy)]
    assert interpreted(*tasks, on_failure=lambda number: path.write_text(str(number))) == [OK, b"1", OK]
    assert not path.exists()


@pytest.mark.parametrize("code", [3, -1, 256, (1 << 40) + 5])
def test_copy_exits_with_the_status_of_a_script(code):
    source = f"""
import os, sys
if os.fork() == 0: sys.exit({code})
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    plain = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert evaluate(source).recorder.out("a") == plain.stdout


@pytest.mark.parametrize(("source", "reason"), [("pass", "KeyError: 'alive'"), ("int('x')", "ValueError: ")])
def test_end_that_fails_is_told_unless_the_code_has_failed(source, reason):
    begin = """
import shared, threading
class Thread(threading.Thread):
    def is_alive(self):
        shared.go.set()
        raise KeyError("alive")
Thread(target=shared.go.wait).start()
"""
    with shared(go=threading.Event()):
        ran = evaluate(begin + source)
    assert ran.status()[1].startswith(reason)


def test_run_waits_at_its_end_for_a_process_that_is_about_to_start(monkeypatch):
    monkeypatch.setattr(snippet, "_STARTING", LIMIT)
    # Processes of other tests are not to be taken for its own.
    run_id = os.urandom(8).hex()
    interpreter = Interpreter(run_id, lambda *_: True, None)
    parents = interpreter._shared.parents
    program = Program(0, Task("a", "eval", ""), interpreter._shared)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        parents.begin(program)
        about_to_start.set()
        closing.wait()
        environment = {**os.environ, "FASTRUN_RUN_ID": run_id, "FASTRUN_TASK": "a"}
        started.append(subprocess.Popen(["sleep", "1000"], env=environment))
        parents.end()

    async def close() -> None:
        ends = asyncio.create_task(interpreter.close(guardian, 0.0, lambda _: None))
        while not parents.closed:
            await asyncio.sleep(0)
        closing.set()
        await ends

    guardian = Guardian(run_id, wanted=False)
    about_to_start, closing = threading.Event(), threading.Event()
    thread = threading.Thread(target=start)
    thread.start()
    about_to_start.wait()
    asyncio.run(close())
    thread.join()
    guardian.stop()
    assert started[0].wait(LIMIT) == -signal.SIGKILL

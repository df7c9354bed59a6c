"""Snippets in processes: what they are started with, and how they are ended, on both ways of waiting for them."""

from __future__ import annotations

import ast
import asyncio
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from fastrun import Task
from fastrun.executors.commands.python import Python, compiled
from tests.support.documents import eval_, exec_
from tests.support.fakes import OutOfTime, Recorder
from tests.support.processes import LIMIT, alive, environment
from tests.support.runs import Ran

SHOWS = "import os, sys; print(os.getcwd(), os.environ.get('X'), os.environ['FASTRUN_ATTEMPT'])"


def process(name, source, *dependencies, **more):
    return eval_(name, source, *dependencies, where="process", **more)


def script(name, path, **more):
    return {"name": name, "type": "eval", "script": str(path), "where": "process", **more}


def test_entries_of_the_path_that_no_process_can_have_are_left_out():
    entries: list[Any] = ["", pathlib.Path("/other"), "/folder", 5]
    command, path = Python(sys.executable, entries, "/").command(Task("a", "eval", "pass"))
    assert path is not None
    os.unlink(path)
    assert ast.literal_eval(str(command[-1]))[2] == ["/folder"]


def test_a_snippet_has_its_directory_and_its_variables(engine, tmp_path):
    ran = Ran(process("a", SHOWS, cwd=str(tmp_path), env={"X": "y"}), process("b", SHOWS), engine=engine)
    assert ran.recorder.out("a") == f"{tmp_path} y 1\n"
    assert ran.recorder.out("b") == f"{os.getcwd()} None 1\n"


def test_a_snippet_leads_a_session_has_no_input_and_pythons_signals(engine):
    source = """
import os, signal, sys
print(os.getsid(0) == os.getpid() == os.getpgrp(), sys.stdin.read() == "", signal.getsignal(signal.SIGPIPE).name)
"""
    ran = Ran(process("a", source), engine=engine)
    assert ran.recorder.out("a") == "True True SIG_IGN\n"


def test_what_a_snippet_changes_is_its_own(engine):
    source = "import os, signal; os.chdir('/'); os.environ['X'] = 'z'; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    handler = signal.getsignal(signal.SIGTERM)
    ran = Ran(process("a", source), process("b", SHOWS, "a"), engine=engine)
    assert ran.recorder.out("b") == f"{os.getcwd()} None 1\n"
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_snippet_whose_time_is_over_is_ended_and_tried_again(engine):
    source = """
import os, time
print(os.getpid(), os.environ["FASTRUN_ATTEMPT"], flush=True)
if os.environ["FASTRUN_ATTEMPT"] == "1":
    time.sleep(1000)
"""

    class OutOfFirstTime(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            if self.out("a").endswith(" 1\n"):
                asyncio.get_running_loop().call_soon(self.run._deadlines._time_is_over, number)

    task = process("a", source, timeout=LIMIT, retries=1, retry_delay=0)
    ran = Ran(task, engine=engine, recorder=OutOfFirstTime())
    assert ran.status("a") == ("ok", "attempt 2 of 2")
    (first, one), (_, two) = (line.split() for line in ran.recorder.out("a").splitlines())
    assert (one, two) == ("1", "2")
    assert not alive(int(first))


def test_a_snippet_that_ignores_its_end_is_killed(engine):
    source = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(1000)"
    )
    ran = Ran(process("a", source, timeout=LIMIT), engine=engine, grace=0.1, recorder=OutOfTime())
    assert ran.status("a") == ("failed", f"timed out after {LIMIT} s")


def test_an_interruption_ends_a_snippet(engine):
    class Interrupter(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            self.run.interrupt()

    source = "import time; print('x', flush=True); time.sleep(1000)"
    ran = Ran(process("a", source), engine=engine, recorder=Interrupter())
    assert ran.status("a") == ("interrupted", "")


def test_jobs_bound_commands_and_snippets_together(tmp_path):
    # Each makes a folder that the others find.
    python = "import os, time; os.mkdir('only'); time.sleep(0.01); os.rmdir('only')"
    tasks = [process(f"p{n}", python, cwd=str(tmp_path)) for n in range(3)]
    tasks += [exec_(f"c{n}", "mkdir only && sleep 0.01 && rmdir only", cwd=str(tmp_path)) for n in range(3)]
    assert Ran(*tasks, jobs=1).report.ok


def test_the_setting_moves_snippets_that_do_not_say_where_they_run():
    class Pids(Recorder):
        def task_started(self, number, task, start) -> None:
            super().task_started(number, task, start)
            pids[task.name] = start.pid

    pids: dict[str, int | None] = {}
    source = "import os; print(os.getpid())"
    tasks = [
        eval_(name, source, **more)
        for name, more in (
            ("plain", {}),
            ("local", {"where": "local"}),
            ("cluster", {"where": "cluster"}),
            ("process", {"where": "process"}),
            ("thread", {"where": "thread"}),
        )
    ]
    ran = Ran(*tasks, eval_where="process", recorder=Pids())
    assert ran.report.ok
    assert pids.pop("thread") is None
    assert pids == {name: int(ran.recorder.out(name)) for name in ("plain", "local", "cluster", "process")}
    ran = Ran(*tasks, recorder=Pids())
    assert ran.report.ok
    assert {name for name, pid in pids.items() if pid is not None} == {"process"}


def test_without_an_interpreter_a_snippet_cannot_start(engine, monkeypatch):
    for missing in ("", None):
        monkeypatch.setattr(sys, "executable", missing)
        ran = Ran(process("a", "pass"), engine=engine)
        assert ran.status("a") == ("failed", "cannot start: the path of the Python interpreter is not known")
    monkeypatch.setattr(sys, "executable", "/no/python")
    ran = Ran(process("a", "pass"), engine=engine)
    assert ran.status("a") == ("failed", "cannot start: No such file or directory: /no/python")


def test_a_snippet_that_cannot_start_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Ran(process("a", "pass", cwd="/no/folder")).status("a")[1].startswith("cannot start: ")
    assert Ran(process("a", "pass")).report.ok
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert Ran(process("a", "pass")).status("a")[1].startswith("cannot start: No such file or directory: ")


def test_a_snippet_that_detaches_a_process_keeps_it(engine):
    source = """
import subprocess
child = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid)
"""
    ran = Ran(process("a", source, detach=True), engine=engine)
    pid = int(ran.recorder.out("a"))
    try:
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    assert ran.warnings == []


def test_the_options_of_the_interpreter_are_given_on():
    code = """
import fastrun, sys
class Shown(fastrun.Observer):
    def task_output(self, number, task, stream, data):
        sys.stdout.write(data.decode())
source = "import sys; print(sys.flags.optimize, sys.flags.safe_path, sys.path[:1] == [''], sys.warnoptions)"
fastrun.run([fastrun.Task("a", "eval", source, where="process")], observers=[Shown()])
"""
    result = subprocess.run(
        [sys.executable, "-O", "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=LIMIT,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("1 True False ['error']\n", "")


def test_the_compiled_form_of_a_program_is_taken_if_it_is_not_older(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = tmp_path / "program.py"
    path.write_text("print(1)")
    found = compiled(str(path))
    assert subprocess.run([sys.executable, found], capture_output=True, timeout=LIMIT, check=True).stdout == b"1\n"
    assert found.endswith(".pyc")
    # Nothing can be written: there is none, or an old one.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    os.utime(found, (0, 0))
    assert compiled(str(path)) == str(path)
    os.unlink(found)
    assert compiled(str(path)) == str(path)


# Scripts

SCRIPT = "import sys\nprint(sys.argv, __file__, sys.path[0], __name__)\n1 / 0\n"


def test_a_script_is_what_python_makes_of_its_path(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text(SCRIPT)
    expected = subprocess.run([sys.executable, "sub/a.py"], capture_output=True, text=True, check=False, timeout=LIMIT)
    ran = Ran(script("a", "sub/a.py"), engine=engine)
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == (expected.stdout, expected.stderr)
    assert ran.recorder.out("a").startswith("['sub/a.py']")
    assert ran.status("a") == ("failed", "exit status 1")


def test_a_script_in_another_directory_is_still_relative_to_that_of_the_run(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_text("import os; print(os.getcwd(), __file__)")
    ran = Ran(script("a", "a.py", cwd="sub"), engine=engine)
    assert ran.recorder.out("a") == f"{tmp_path}/sub {tmp_path}/a.py\n"


@pytest.mark.parametrize("name", ["-c", "-", "-x.py", "a b.py", "\u00e9.py", "-W ignore"])
def test_a_script_may_have_any_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("print(__file__)")
    ran = Ran(script("a", name))
    assert ran.status("a") == ("ok", "")
    assert os.path.samefile(ran.recorder.out("a").rstrip("\n"), tmp_path / name)


def test_a_script_is_read_when_it_runs(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("1 / 0")
    ran = Ran(exec_("w", f"echo 'print(5)' > {path}"), script("a", path, dependencies=["w"]))
    assert (ran.status("a"), ran.recorder.out("a")) == (("ok", ""), "5\n")


def test_a_script_that_is_gone_when_it_runs_has_failed(tmp_path):
    path = tmp_path / "a.py"
    path.touch()
    ran = Ran(exec_("w", f"rm {path}"), script("a", path, dependencies=["w"]))
    assert ran.status("a") == ("failed", "exit status 2")
    assert "can't open file" in ran.recorder.err("a")

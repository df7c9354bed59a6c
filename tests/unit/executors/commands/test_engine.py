"""The engines: which is chosen, and what the native one does by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastrun
from fastrun.executors.commands import executor
from fastrun.executors.commands.choice import NATIVE, PYTHON, wanted_engine
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.engines import COMPILER, HAS_NATIVE
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, alive, environment, fastrun_process, wait_for
from tests.support.processes import fastrun as run_fastrun
from tests.support.runs import Ran

needs_native = pytest.mark.skipif(not HAS_NATIVE, reason="the native engine is not built here")

ROOT = Path(fastrun.__file__).parent.parent


@pytest.mark.skipif("CI" not in os.environ and COMPILER is None, reason="nothing can build the native engine here")
def test_the_native_engine_is_there():
    assert sys.platform != "linux" or wanted_engine() == (os.environ.get("FASTRUN_ENGINE") or NATIVE)


@pytest.mark.parametrize("name", [pytest.param(NATIVE, marks=needs_native), PYTHON])
def test_version_names_the_engine(name):
    result = subprocess.run(
        [sys.executable, "-m", "fastrun", "--version"],
        env=environment(FASTRUN_ENGINE=name),
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT,
    )
    assert result.stdout == f"fastrun {fastrun.__version__} ({name} engine)\n"


def test_an_unknown_engine_is_an_error(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = run_fastrun(path, env=environment(FASTRUN_ENGINE="natvie"))
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"fastrun: FASTRUN_ENGINE must be native or python, not 'natvie'\n"


def copy_without_engine(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "fastrun", tmp_path / "fastrun", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return tmp_path


@pytest.mark.parametrize("wanted", ["", NATIVE])
def test_without_the_native_engine_python_does_its_work_unless_it_is_required(tmp_path, wanted):
    copy_without_engine(tmp_path)
    path = write_json(tmp_path, document(exec_("a", "echo out")))
    result = subprocess.run(
        [sys.executable, "-m", "fastrun", "--report", "none", path],
        cwd=tmp_path,
        env=environment(FASTRUN_ENGINE=wanted, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        check=False,
        timeout=LIMIT,
    )
    if wanted:
        assert (result.returncode, result.stdout) == (2, b"")
        assert b"fastrun was installed without its native engine" in result.stderr
    else:
        assert result.stdout.startswith(b"Started: a\nout\nEnded : a\n")


@needs_native
def test_a_chain_goes_on_while_a_snippet_keeps_the_interpreters_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "CHAIN_SECONDS", 1e9)
    # The snippet holds the lock in one call of C, from the first command on until the last has made its file.
    tasks = [
        exec_("a", f"touch {tmp_path}/a; until [ -e {tmp_path}/held ]; do sleep 0.01; done"),
        exec_("b", "true", "a"),
        exec_("c", f"touch {tmp_path}/c", "b"),
        eval_(
            "s",
            "import ctypes, os, time\n"
            f"while not os.path.exists({str(tmp_path / 'a')!r}): time.sleep(0.01)\n"
            "libc = ctypes.PyDLL(None)\n"
            f"libc.system(b'touch {tmp_path}/held; i=0; until [ -e {tmp_path}/c ] || [ $i = {100 * LIMIT} ]; "
            "do sleep 0.01; i=$((i+1)); done')\n"
            f"print(os.path.exists({str(tmp_path / 'c')!r}))",
        ),
    ]
    ran = Ran(*tasks, engine=NATIVE)
    assert ran.recorder.out("s") == "True\n"


@needs_native
def test_a_copy_of_the_process_made_by_a_snippet_has_no_engine(tmp_path):
    source = "import os, sys\npid = os.fork()\nif not pid: sys.exit(3)\nprint(os.waitpid(pid, 0)[1] >> 8)"
    tasks = [exec_(f"c{i}", "echo x") for i in range(50)] + [eval_(f"s{i}", source) for i in range(10)]
    ran = Ran(*tasks, engine=NATIVE)
    assert ran.report.ok
    assert all(ran.recorder.out(f"s{i}") == "3\n" for i in range(10))


def test_closing_standard_descriptors_does_not_swap_the_streams_of_commands(tmp_path):
    # Pipes may then get the numbers 0, 1 and 2, which a start replaces.
    code = (
        "import os, fastrun\n"
        "class Show(fastrun.Observer):\n"
        "    def task_output(self, number, task, stream, data):\n"
        "        os.write(9, b'%d %s' % (stream, data))\n"
        # A folder, since a file would take a descriptor.
        "        if stream == 1: os.mkdir('seen')\n"
        "    def task_ended(self, number, task, outcome):\n"
        "        if number == 0: [os.close(n) for n in (0, 1, 2)]\n"
        "os.dup2(1, 9)\n"
        "first = {'name': 'a', 'type': 'exec', 'arguments': 'true'}\n"
        "prints = 'echo out; until [ -e seen ]; do sleep 0.01; done; echo err >&2'\n"
        "then = {'name': 'b', 'type': 'exec', 'dependencies': ['a'], 'arguments': prints}\n"
        # Two that follow make no chain, which the engine would go on with before the descriptors are closed.
        "other = {'name': 'c', 'type': 'exec', 'dependencies': ['a'], 'arguments': 'true'}\n"
        "fastrun.run({'tasks': [first, then, other]}, observers=[Show()], jobs=1)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        check=False,
        timeout=LIMIT,
    )
    assert result.stdout == b"1 out\n2 err\n"


class Many(Recorder):
    """Counts the bytes that come, and is behind now and then."""

    looks = 0

    @property
    def congested(self) -> bool:
        self.looks += 1
        return self.looks % 5 != 0


@needs_native
def test_output_of_many_commands_is_whole_while_the_observer_is_behind():
    tasks = [exec_(f"t{i}", f"head -c {1_000_000 + i} /dev/zero; head -c 70000 /dev/zero >&2") for i in range(20)]
    recorder = Many()
    ran = Ran(*tasks, recorder=recorder, engine=NATIVE)
    assert ran.report.ok
    for i in range(20):
        assert len(recorder.output[f"t{i}", 1]) == 1_000_000 + i
        assert len(recorder.output[f"t{i}", 2]) == 70_000


def test_a_killed_run_leaves_no_command_behind(tmp_path):
    # The engine lists a command itself, before the run hears of it.
    tasks = [exec_(f"t{i}", f"echo $$ > {tmp_path}/$FASTRUN_TASK; sleep 1000") for i in range(8)]
    with fastrun_process(write_json(tmp_path, document(*tasks))) as process:
        wait_for(lambda: all((tmp_path / f"t{i}").exists() and (tmp_path / f"t{i}").read_text() for i in range(8)))
        process.kill()
        pids = [int((tmp_path / f"t{i}").read_text()) for i in range(8)]
        wait_for(lambda: not any(map(alive, pids)))

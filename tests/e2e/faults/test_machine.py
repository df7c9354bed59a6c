"""Faults of the machine: what is short makes tasks wait, and what is missing is named."""

from __future__ import annotations

import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastrun.executors.commands.choice import NATIVE
from tests.support import engines
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.groups import remove_group
from tests.support.processes import LIMIT, environment, fastrun, report_of, unmeasured


def _limit(what: int, number: int):
    return lambda: resource.setrlimit(what, (number, number))


@pytest.mark.usefixtures("engine")
def test_descriptors_are_short(tmp_path):
    tasks = [exec_(str(i), f"echo {i}; sleep 0.01") for i in range(60)]
    result = fastrun(write_json(tmp_path, document(*tasks)), preexec_fn=_limit(resource.RLIMIT_NOFILE, 40))
    assert result.returncode == 0
    assert sorted(line for line in result.stdout.splitlines() if line.isdigit()) == sorted(b"%d" % i for i in range(60))


@pytest.mark.parametrize("number", [8, 12, 14, 16, 18, 20])
def test_descriptors_are_too_few_to_start(tmp_path, number):
    path = write_json(tmp_path, document(exec_("a", "touch started"), eval_("b", "open('started', 'w')")))
    result = fastrun(path, cwd=tmp_path, env=unmeasured(), preexec_fn=_limit(resource.RLIMIT_NOFILE, number))
    assert (result.returncode, result.stdout) == (2, b"")
    assert re.fullmatch(rb"fastrun: cannot start: Too many open files.*\n", result.stderr), result.stderr
    assert not (tmp_path / "started").exists()


# What Python raises where memory is short: for a mapping, for an object, for a module of C.
NO_MEMORY = {
    "mapping": """
import errno, mmap, os
def refuse(*_): raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
mmap.mmap = refuse
""",
    "object": """
import orjson
def refuse(*_): raise MemoryError
orjson.loads = refuse
""",
    "loop": """
import uvloop
def refuse(*_): raise MemoryError
uvloop.run = refuse
""",
    "module": """
import sys
class Refusing:
    def find_spec(self, name, *_):
        if name == "uvloop": raise ImportError("loop.so: Cannot allocate memory")
sys.meta_path.insert(0, Refusing())
""",
    "module of ours": """
import sys
class Refusing:
    def find_spec(self, name, *_):
        if name == "argparse": raise MemoryError
sys.meta_path.insert(0, Refusing())
sys.modules.pop("argparse", None)
""",
}


@pytest.mark.parametrize("what", NO_MEMORY)
@pytest.mark.parametrize("option", ["--durable", "--no-guardian"])
def test_memory_is_too_short_to_start(tmp_path, what, option):
    """Injected: how much memory is just too little depends on the machine and on Python."""
    write_json(tmp_path, document(exec_("a", "touch started")))
    start = "import runpy, sys\nrunpy.run_module('fastrun', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", NO_MEMORY[what] + start, option, "--journal", "j", "tasks.json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, env=unmeasured(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stdout) == (2, b"")
    assert re.fullmatch(rb"fastrun: cannot start: .*Cannot allocate memory\n", result.stderr), result.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.usefixtures("engine")
def test_null_device_is_missing(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    script = 'mount -t tmpfs tmpfs /dev || exit 77; exec "$0" -m fastrun "$1"'
    command = ["unshare", "-m", "sh", "-c", script, sys.executable, os.fspath(path)]
    result = subprocess.run(command, capture_output=True, env=unmeasured(), timeout=LIMIT, check=False)
    if result.returncode == 77 or b"unshare" in result.stderr:
        pytest.skip("only a privileged user can hide /dev/null")
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"fastrun: cannot start: No such file or directory: /dev/null\n"


# How the kernel refuses what it has no more of. Injected where the process itself is started: what a root user, or a
# container's, may have of processes and memory is not limited by limits of its own.
REFUSED = """
import errno, os, sys, fastrun.cli.main
real, calls = os.posix_spawn, []
def refuse(*arguments, **options):
    calls.append(1)
    if len(calls) % 3 == 2:
        raise OSError(errno.{code}, os.strerror(errno.{code}))
    return real(*arguments, **options)
os.posix_spawn = refuse
sys.exit(fastrun.cli.main.main(sys.argv[1:]))
"""


# The same in a build of the native engine whose calls fail.
REFUSED_IN_C = """
import errno, os, sys, fastrun.cli.main
from tests.support import engines
engines.use(os.environ["FASTRUN_TEST_ENGINE"]).fault_begin(b"vfork", 2, 3, errno.{code})
sys.exit(fastrun.cli.main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("code", ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"])
def test_processes_or_memory_are_short(tmp_path, code, engine):
    variables = {}
    if engine == NATIVE:
        if engines.COMPILER is None:
            pytest.skip("calls of C fail in a build of its own: no gcc")
        variables["FASTRUN_TEST_ENGINE"] = str(engines.build_with_faults(tmp_path))
    tasks = [exec_(str(i), f"echo {i}") for i in range(30)]
    path = write_json(tmp_path, document(*tasks))
    program = REFUSED_IN_C if engine == NATIVE else REFUSED
    result = subprocess.run(
        [sys.executable, "-c", program.format(code=code), "--no-guardian", path],
        capture_output=True,
        env=environment(**variables),
        timeout=LIMIT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(line for line in result.stdout.splitlines() if line.isdigit()) == sorted(b"%d" % i for i in range(30))
    assert result.stderr.count(b"\n") == 1
    assert b"starting fewer tasks at once" in result.stderr


# A user whom nobody else is, not even the same test beside this one: its processes would count as well. Who may all the
# same read what root installed: root has no limit of its own.
USER = str(10_000 + int.from_bytes(os.urandom(2), "big") % 40_000)
ANOTHER_USER = [
    *("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"),
    *("--inh-caps", "-all,+dac_override", "--ambient-caps", "-all,+dac_override"),
]


@pytest.mark.usefixtures("engine")
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="root can become a user with a limit, by setpriv"
)
def test_processes_of_the_user_are_short(tmp_path):
    path = write_json(tmp_path, document(*(exec_(str(i), f"echo {i}; exec sleep 0.05") for i in range(40))))
    command = [*ANOTHER_USER, sys.executable, "-m", "fastrun", "--no-guardian", os.fspath(path)]
    result = subprocess.run(
        command,
        capture_output=True,
        env=environment(),
        timeout=LIMIT,
        check=False,
        preexec_fn=_limit(resource.RLIMIT_NPROC, 25),
    )
    assert result.returncode == 0, result.stderr
    assert sorted(line for line in result.stdout.splitlines() if line.isdigit()) == sorted(b"%d" % i for i in range(40))


PIDS = Path("/sys/fs/cgroup/pids")


@pytest.mark.usefixtures("engine")
@pytest.mark.skipif(
    not os.access(PIDS / "cgroup.procs", os.W_OK), reason="pids.max can be made low by who may write control groups"
)
def test_processes_of_the_control_group_become_short(tmp_path):
    """It is lowered when the run has begun, below what the run was granted at its start."""
    group = PIDS / f"fastrun-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "pids.max").write_text("100")
        lower = exec_("lower", f"echo 12 > {group}/pids.max")
        path = write_json(tmp_path, document(lower, *(exec_(str(i), f"echo {i}", "lower") for i in range(60))))
        result = fastrun(path, preexec_fn=lambda: (group / "cgroup.procs").write_text("0"))
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert sorted(line for line in lines if line.isdigit()) == sorted(b"%d" % i for i in range(60))
    finally:
        remove_group(group)


NO_THREADS = """
import sys, threading, fastrun.cli.main
real = threading.Thread.start
def refuse(thread):
    if thread.name == "fastrun-eval" and sum(t.name == "fastrun-eval" for t in threading.enumerate()) >= {most}:
        raise RuntimeError("can't start new thread")
    real(thread)
threading.Thread.start = refuse
sys.exit(fastrun.cli.main.main(sys.argv[1:]))
"""


def test_threads_are_short(tmp_path):
    """Injected: a limit of the system would hit the loop's own threads first."""
    path = write_json(tmp_path, document(*(eval_(str(i), "import time; time.sleep(0.02)") for i in range(20))))
    command = [sys.executable, "-c", NO_THREADS.format(most=2), os.fspath(path)]
    result = subprocess.run(command, capture_output=True, env=environment(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


NO_OTHER_THREADS = """
import sys, threading, fastrun.cli.main
real = threading.Thread.start
def refuse(thread):
    if thread.name != "fastrun-eval":
        raise RuntimeError("can't start new thread")
    real(thread)
threading.Thread.start = refuse
sys.exit(fastrun.cli.main.main(sys.argv[1:]))
"""


def test_threads_are_too_few_to_load_and_to_write_beside_the_loop(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "print('x' * 1_000_000)"), exec_("b", "echo y")))
    command = [sys.executable, "-c", NO_OTHER_THREADS, os.fspath(path)]
    result = subprocess.run(command, capture_output=True, env=environment(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"x" * 1_000_000 + b"\n" in result.stdout


@pytest.mark.usefixtures("engine")
def test_folder_of_a_task_is_missing(tmp_path):
    result = fastrun(write_json(tmp_path, document(exec_("a", "true", cwd="/no/such"), exec_("b", "true"))))
    assert result.returncode == 1
    assert report_of(result.stdout) == {
        "a": ("failed", "cannot start: No such file or directory: /no/such"),
        "b": ("ok", ""),
    }


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_standard_descriptors_are_closed(tmp_path, closed):
    source = "import os; open('inner', 'w').write('\\n'.join(os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)))"
    tasks = [exec_("a", "echo text > a; echo out; echo err >&2; cat"), eval_("b", source)]
    write_json(tmp_path, document(*tasks))

    def close() -> None:
        for number in closed:
            os.close(number)

    command = [sys.executable, "-m", "fastrun", "--journal", "run.journal", "tasks.json"]
    # Not with pipes for its output, which would open again what is closed.
    result = subprocess.run(command, cwd=tmp_path, env=environment(), preexec_fn=close, check=False, timeout=LIMIT)
    assert result.returncode == (0 if closed == (0,) else 3)
    assert (tmp_path / "a").read_text() == "text\n"
    # Neither the journal nor a task's pipe became one of them.
    inner = (tmp_path / "inner").read_text().splitlines()
    assert [inner[number] for number in closed] == ["/dev/null"] * len(closed)
    assert (tmp_path / "run.journal").read_bytes().count(b"\n") == 6


@pytest.mark.usefixtures("engine")
def test_parent_ignores_sigchld(tmp_path):
    result = fastrun(
        write_json(tmp_path, document(exec_("a", "exit 7"), exec_("b", "true"))),
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert report_of(result.stdout) == {"a": ("failed", "exit status 7"), "b": ("ok", "")}


@pytest.mark.usefixtures("engine")
def test_task_reads_standard_input_or_the_terminal(tmp_path):
    tasks = [exec_("a", "cat; echo end"), exec_("b", "cat < /dev/tty; echo end")]
    path = write_json(tmp_path, document(*tasks))
    main, side = pty.openpty()
    try:
        result = fastrun(path, stdin=side, start_new_session=True)
    finally:
        os.close(main)
        os.close(side)
    assert result.returncode == 0
    assert result.stdout.count(b"\nend\n") == 2
    assert b"/dev/tty" in result.stderr

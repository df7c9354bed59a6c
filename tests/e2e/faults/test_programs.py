"""Snippets as programs: each does what the same text does as a script, beside others that do so too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun, report_of

if TYPE_CHECKING:
    from subprocess import CompletedProcess

pytestmark = pytest.mark.usefixtures("unmeasured_processes")

# Seconds that a snippet waits for what must come, before it says that it has not come.
PATIENCE = 60


def ran(folder: Path, *tasks: dict[str, Any]) -> CompletedProcess[bytes]:
    """Run tasks in a folder, from the document that is written there."""
    write_json(folder, document(*tasks))
    return fastrun("tasks.json", cwd=folder)


def statuses(done: CompletedProcess[bytes]) -> dict[str, str]:
    return {name: status for name, (status, _) in report_of(done.stdout).items()}


def printed(done: CompletedProcess[bytes]) -> set[str]:
    """Return the lines that tasks printed, without the lines about tasks and the report."""
    lines = done.stdout.decode().partition("Report:\n")[0].splitlines()
    return {line for line in lines if not line.startswith(("Started: ", "Ended : "))}


def test_file_that_a_snippet_leaves_open_is_whole_before_its_dependents_start(tmp_path):
    # The function makes a cycle of the namespace and the file.
    source = """
def squares():
    return (f"{number * number}\\n" for number in range(5000))
table = open("squares", "w")
table.writelines(squares())
"""
    done = ran(tmp_path, eval_("write", source), exec_("count", "wc -l < squares", "write"))
    assert statuses(done) == {"write": "ok", "count": "ok"}
    assert {line.strip() for line in printed(done)} == {"5000"}


FORKED_CHILD = f"""
import multiprocessing, time
context = multiprocessing.get_context("fork")
began, begins = context.Pipe(duplex=False)
def hang():
    begins.send("begun")
    time.sleep(1000)
child = context.Process(target=hang)
child.start()
began.recv()
child.terminate()
child.join({PATIENCE})
print("ended with", child.exitcode)
child.kill()
"""


def test_forked_child_of_a_snippet_ends_by_sigterm(tmp_path):
    done = ran(tmp_path, eval_("a", FORKED_CHILD))
    assert (done.returncode, done.stderr) == (0, b"")
    assert printed(done) == {"ended with -15"}


POOL = """
import multiprocessing, time
context = multiprocessing.get_context("fork")
busy = context.SimpleQueue()
def work(seconds):
    busy.put(seconds)
    time.sleep(seconds)
with context.Pool(2) as pool:
    pool.map_async(work, [1000, 2000], chunksize=1)
    print(sorted([busy.get(), busy.get()]))
"""


def test_pool_whose_workers_are_busy_ends_with_its_block(tmp_path):
    done = ran(tmp_path, *(eval_(name, POOL, timeout=PATIENCE) for name in "ab"))
    assert (statuses(done), done.stderr) == ({"a": "ok", "b": "ok"}, b"")
    assert printed(done) == {"[1000, 2000]"}


UNITTEST = """
import unittest
class Arithmetic(unittest.TestCase):
    def test_difference(self):
        self.assertEqual(3 - 1, 1)
unittest.main()
"""

DOCTEST = '''
import doctest, sys
def half(number):
    """
    >>> half(8)
    5
    """
    return number // 2
sys.exit(doctest.testmod().failed)
'''


def test_test_runners_find_the_tests_of_their_snippet(tmp_path):
    tests = [eval_("unittest", UNITTEST), eval_("doctest", DOCTEST)]
    done = ran(tmp_path, *tests, exec_("deploy", "echo deployed", "unittest", "doctest"))
    assert statuses(done) == {"unittest": "failed", "doctest": "failed", "deploy": "skipped"}
    assert b"AssertionError: 2 != 1" in done.stderr
    assert "    half(8)" in printed(done)


MAIN = {
    "pickle": """
import pickle
class Pair:
    left = right = 0
print(type(pickle.loads(pickle.dumps(Pair()))) is Pair)
""",
    "hints": """
import typing
class Node:
    next: "Node | None"
print(typing.get_type_hints(Node) == {"next": Node | None})
""",
    "import": """
import __main__
own = 5
print(__main__.own == 5)
""",
    "source": """
import inspect
def shown(): return 1
print(inspect.getsource(shown) == "def shown(): return 1\\n")
""",
    **{
        method: f"""
import multiprocessing
def cube(number):
    return number ** 3
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print(pool.map(cube, range(4)) == [0, 1, 8, 27])
"""
        for method in ("fork", "spawn", "forkserver")
    },
}


@pytest.mark.parametrize("what", MAIN)
def test_main_is_the_snippet(tmp_path, what):
    done = ran(tmp_path, eval_("a", MAIN[what]), eval_("b", MAIN[what]))
    assert (statuses(done), done.stderr) == ({"a": "ok", "b": "ok"}, b"")
    assert printed(done) == {"True"}


# What two snippets import that wait for each other.
MEETING = f"""
import threading
class Step(threading.Event):
    def wait(self):
        assert super().wait({PATIENCE}), "it never happened"
inside, printed, entered, left = Step(), Step(), Step(), Step()
"""


def test_redirection_takes_nothing_that_other_snippets_print(tmp_path):
    (tmp_path / "meeting.py").write_text(MEETING)
    captures = """
import contextlib, io, meeting
text = io.StringIO()
with contextlib.redirect_stdout(text):
    meeting.inside.set()
    meeting.printed.wait()
    print("mine")
print("captured", text.getvalue().split())
"""
    prints = """
import meeting
meeting.inside.wait()
print("not captured")
meeting.printed.set()
"""
    done = ran(tmp_path, eval_("captures", captures), eval_("prints", prints))
    assert (statuses(done), done.stderr) == ({"captures": "ok", "prints": "ok"}, b"")
    assert printed(done) == {"captured ['mine']", "not captured"}


def test_redirections_that_overlap_leave_later_output_alone(tmp_path):
    (tmp_path / "meeting.py").write_text(MEETING)
    first = """
import contextlib, io, meeting
with contextlib.redirect_stdout(io.StringIO()):
    meeting.inside.set()
    meeting.entered.wait()
meeting.left.set()
print("first")
"""
    second = """
import contextlib, io, meeting
meeting.inside.wait()
with contextlib.redirect_stdout(io.StringIO()):
    meeting.entered.set()
    meeting.left.wait()
print("second")
"""
    later = eval_("later", "print('later')", "first", "second")
    done = ran(tmp_path, eval_("first", first), eval_("second", second), later)
    assert (set(statuses(done).values()), done.stderr) == ({"ok"}, b"")
    assert printed(done) == {"first", "second", "later"}


def test_snippet_imports_what_a_task_has_just_put_into_the_directory(tmp_path):
    # As the installed command is started, which does not put the present directory into ``sys.path``.
    command = tmp_path / "bin" / "fastrun"
    command.parent.mkdir()
    command.write_text("import sys\nfrom fastrun.__main__ import console_script\nsys.exit(console_script())\n")
    make = exec_("make", "echo 'words = \"made just now\"' > generated.py", "before")
    use = "import generated\nprint(generated.words)"
    # The directory is read by an import before the module is there.
    before = "try:\n    import generated\nexcept ImportError:\n    print('not yet')"
    write_json(tmp_path, document(eval_("before", before), make, eval_("use", use, "make")))
    done = subprocess.run(
        [sys.executable, command, "tasks.json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert printed(done) == {"not yet", "made just now"}


def test_arguments_of_fastrun_are_not_the_snippets(tmp_path):
    source = """
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=7)
print(sys.argv, parser.parse_args().size)
"""
    done = ran(tmp_path, eval_("a", source))
    assert (done.returncode, done.stderr) == (0, b"")
    assert printed(done) == {"['-c'] 7"}


def test_thread_of_a_snippet_has_ended_before_its_dependents_start(tmp_path):
    # Without the pause the thread might be early enough by chance where nothing waits for it.
    source = """
import pathlib, threading, time
def upload():
    time.sleep(0.3)
    pathlib.Path("uploaded").write_text("all of it")
threading.Thread(target=upload).start()
"""
    done = ran(tmp_path, eval_("upload", source), exec_("check", "cat uploaded; echo", "upload"))
    assert statuses(done) == {"upload": "ok", "check": "ok"}
    assert printed(done) == {"all of it"}


def test_logging_is_set_up_anew_by_force_alone(tmp_path):
    """As the documents say: the handlers of ``logging`` belong to a module, and modules are shared."""

    def logs(level: str, text: str, **more: bool) -> str:
        options = ", ".join(f"{name}={value}" for name, value in more.items())
        set_up = f"logging.basicConfig(stream=sys.stdout, level=logging.{level}, format='%(message)s', {options})"
        return f"import logging, sys\n{set_up}\nlogging.info({text!r})"

    done = ran(
        tmp_path,
        eval_("first", logs("WARNING", "first")),
        eval_("second", logs("INFO", "second"), "first"),
        eval_("forced", logs("INFO", "forced", force=True), "second"),
        eval_("fourth", logs("INFO", "fourth"), "forced"),
        eval_("process", logs("INFO", "process"), "fourth", where="process"),
    )
    assert (set(statuses(done).values()), done.stderr) == ({"ok"}, b"")
    assert printed(done) == {"forced", "fourth", "process"}
    assert done.stdout.split(b"Started: fourth\n")[1].startswith(b"fourth\nEnded : fourth\n")


# A library that draws on what it takes for the present picture, as pyplot does.
PICTURE = """
lines = []
def draw(line):
    lines.append(line)
def save(path):
    with open(path, "w") as file:
        file.write("\\n".join(lines))
    lines.clear()
"""


def test_library_that_is_not_thread_safe_works_in_processes(tmp_path):
    (tmp_path / "picture.py").write_text(PICTURE)
    draws = "import picture\nfor line in range(100):\n    picture.draw('{0} %d' % line)\npicture.save('{0}')"
    done = ran(tmp_path, *(eval_(name, draws.format(name), where="process") for name in "abcd"))
    assert (set(statuses(done).values()), done.stderr) == ({"ok"}, b"")
    for name in "abcd":
        assert (tmp_path / name).read_text().splitlines() == [f"{name} {line}" for line in range(100)]


PLOT = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.title("slope {0}")
plt.plot(range(50), [{0} * x for x in range(50)])
plt.savefig("{1}")
"""


def test_plots_that_processes_draw_are_those_of_scripts(tmp_path):
    pytest.importorskip("matplotlib")
    done = ran(tmp_path, *(eval_(str(n), PLOT.format(n, f"task{n}.png"), where="process") for n in range(3)))
    assert set(statuses(done).values()) == {"ok"}
    for n in range(3):
        plain = [sys.executable, "-c", PLOT.format(n, f"script{n}.png")]
        subprocess.run(plain, cwd=tmp_path, env=environment(), timeout=LIMIT, check=True)
        assert (tmp_path / f"task{n}.png").read_bytes() == (tmp_path / f"script{n}.png").read_bytes()


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ([sys.executable, "-m", "fastrun"], "-B"),
        ([sys.executable, "-P", "-m", "fastrun"], "-P"),
        ([str(Path(sys.executable).with_name("fastrun"))], "-B"),
    ],
)
def test_modules_are_looked_for_as_by_python_c(tmp_path, command, option):
    source = "import sys; print(sys.argv, sys.path)"
    path = write_json(tmp_path, document(eval_("thread", source), eval_("process", source, where="process")))
    expected, done = (
        subprocess.run(call, capture_output=True, env=environment(), cwd=tmp_path, timeout=LIMIT, check=True)
        for call in ([sys.executable, option, "-c", source], [*command, path])
    )
    assert done.stdout.count(expected.stdout) == 2

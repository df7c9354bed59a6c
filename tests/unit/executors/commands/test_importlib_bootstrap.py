"""A snippet in a process prints, returns and leaves behind what the same text as a script does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastrun.outcome import exit_outcome
from tests.support.documents import eval_
from tests.support.processes import LIMIT
from tests.support.runs import Ran

# One of them is killed.
pytestmark = pytest.mark.usefixtures("unmeasured_processes", "memory_kept")

SOURCES = {
    "nothing": "",
    "prints": "import sys\nprint('out')\nprint('err', file=sys.stderr)",
    "namespace": "print(list(globals()))",
    "main": "import __main__, sys\nprint(vars(__main__) is globals(), sys.modules['__main__'] is __main__)",
    "loader": "print(__name__, __spec__, __package__, __doc__, __loader__.get_source('__main__'))",
    "modules": "import sys\nprint(sorted(sys.modules))",
    "no path of ours": "import sys\nprint([path for path in sys.path if 'fastrun/executors' in path])",
    "bytes mark": "\ufeffprint('\u00e9')",
    "returns": "print('a')\r\nprint('''b\r\nc''')\r\n",
    "exit 3": "import sys; sys.exit(3)",
    "hook at an exit": """
import atexit, sys
hook = sys.excepthook
atexit.register(lambda: print(sys.excepthook is hook))
exit(3)
""",
    "exit None": "import sys; sys.exit()",
    "exit True": "import sys; sys.exit(True)",
    "exit text": "import sys; sys.exit('wrong')",
    "exit list": "raise SystemExit([1, 2])",
    "exit 256": "raise SystemExit(256)",
    "os._exit": "import os; print('lost', end=''); os._exit(4)",
    "signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "interrupted": "raise KeyboardInterrupt",
    "handler": """
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
""",
    "atexit": "import atexit, sys\natexit.register(lambda: print(sys.excepthook is sys.__excepthook__))\n1 / 0",
    "last": "import atexit, sys\natexit.register(lambda: print(sys.last_value, sys.last_traceback.tb_lineno))\n1 / 0",
    "threads": "import threading\nthreading.Thread(target=lambda: print(threading.main_thread().name)).start()",
    "main thread": "import threading\nprint(threading.current_thread() is threading.main_thread())",
    "raises": "def f(x):\n    return 1 / x\n\nf(0)",
    "chain": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('second') from error",
    "context": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][1]",
    "group": "raise ExceptionGroup('all', [ValueError(1), TypeError(2)])",
    "meant": "first = 1\nprint(frist)",
    "meant of several lines": "class A:\n    first = 1\nA.frist",
    "too deep": "def f():\n    f()\nf()",
    "stop iteration": "raise StopIteration",
    "cannot raise": "class A:\n    def __del__(self):\n        1 / 0\na = A()\ndel a",
    "raises at exit": "import atexit\n@atexit.register\ndef f():\n    1 / 0",
    "cannot raise at the end": "class A:\n    def __del__(self):\n        raise ValueError\na = A()",
    "compiler warns": "print(() is 0)\n'\\d'",
    "raises in a thread": """
import threading
def f():
    unknown
thread = threading.Thread(target=f, name="mine")
thread.start()
thread.join()
""",
    "exits in a thread": "import sys, threading\nthreading.Thread(target=sys.exit, args=(3,)).start()",
    "does not parse": "x = = 1",
    "does not compile": "def f():\n    pass\nreturn 5",
    "does not indent": "if True:\n    x = 1\n  y = 2",
    "a line of its own": "\n\x0c\nraise ValueError('\u2028')\n",
    "own hook": "import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_lineno, a[2].tb_next)\n1 / 0",
    "hook called": "import sys\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    sys.excepthook(*sys.exc_info())",
    "print_exc": "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()",
    "warns": "def f():\n    import warnings\n    warnings.warn('hm', stacklevel=2)\nf()",
    "warns its caller": "import warnings\nwarnings.warn('a', stacklevel=2)\nwarnings.warn('b', stacklevel=5)",
    "limit": "import sys\nprint(sys.getrecursionlimit())\nsys.setrecursionlimit(500)\ndef f():\n    f()\nf()",
    "logs": "import logging\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.exception('failed')",
    "source": "from inspect import *\ndef f():\n    return 1\nclass A:\n    x = 1\nprint(getsource(f), getsource(A))",
    "pickles": "import pickle\nclass A:\n    pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
    "hints": "import typing\nclass A:\n    b: 'B'\nclass B:\n    pass\nprint(typing.get_type_hints(A))",
    "doctest": 'def f():\n    """\n    >>> 1 + 1\n    3\n    """\nimport doctest\nprint(doctest.testmod())',
    "unittest": """
import unittest
class Test(unittest.TestCase):
    def test(self):
        self.assertEqual(1, 2)
unittest.main(argv=["x"], testRunner=unittest.TextTestRunner(stream=open("/dev/null", "w")))
""",
    "asyncio": "import asyncio\nasync def main():\n    1 / 0\nasyncio.run(main())",
    "future": "from __future__ import annotations\ndef f(x: unknown): ...\nprint(f.__annotations__)",
    "no future": "def f(x: unknown = 1): ...\nf.__annotations__",
    "no stderr": "import sys\nsys.stderr = None\n1 / 0",
    "cannot be shown": "class Bad(Exception):\n    def __str__(self):\n        raise ValueError\nraise Bad",
    "exec": "exec('1 / 0')",
    "fork": "import os, sys\nif os.fork():\n    os.wait()\nprint('x', flush=True)",
}

_POOL = """
import multiprocessing
class A:
    def __init__(self, x):
        self.x = x
def double(a):
    return A(2 * a.x)
if __name__ == "__main__":
    with multiprocessing.get_context("{}").Pool(2) as pool:
        print([a.x for a in pool.map(double, [A(1), A(2)])])
"""


def as_script(path: Path, source: str, name: str) -> tuple[tuple[str, str], str, str]:
    """Return how ``python FILE`` ends, and what it prints, with the name of a task for that of the file."""
    path.write_bytes(source.encode())
    result = subprocess.run(
        [sys.executable, path], capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=LIMIT
    )
    outcome = exit_outcome(result.returncode)
    out, err = (text.decode().replace(str(path), name) for text in (result.stdout, result.stderr))
    # Addresses.
    err = re.sub(r"\b0x[0-9a-f]+", "0x", err)
    return (outcome.status.label, outcome.reason), out, err


@pytest.mark.parametrize("name", SOURCES)
def test_a_snippet_does_what_its_text_does_as_a_script(tmp_path, name):
    source = SOURCES[name]
    expected = as_script(tmp_path / "a.py", source, "<task a>")
    ran = Ran(eval_("a", source, where="process"))
    # What asks for the file of the module is given the real one.
    out = re.sub(r'"[^"]*/fastrun-[^"/]*\.py"', '"<task a>"', ran.recorder.out("a"))
    err = re.sub(r"\b0x[0-9a-f]+", "0x", ran.recorder.err("a"))
    assert (ran.status("a"), out, err) == expected


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_find_the_classes_and_functions_of_a_snippet(method):
    ran = Ran(eval_("a", _POOL.format(method), where="process"))
    assert (ran.status("a"), ran.recorder.out("a"), ran.recorder.err("a")) == (("ok", ""), "[2, 4]\n", "")


def test_the_arguments_and_the_path_are_those_of_python_c():
    source = "import sys\nprint(sys.argv, sys.path[0] == '', sys.path[1:])"
    ran = Ran(eval_("a", source, where="process"))
    entries = [entry for entry in sys.path if entry]
    assert ran.recorder.out("a") == f"['-c'] {not sys.flags.safe_path} {entries}\n"


def test_a_module_in_the_current_directory_is_found(tmp_path):
    (tmp_path / "beside_us.py").write_text("x = 5")
    ran = Ran(eval_("a", "import beside_us; print(beside_us.x)", where="process", cwd=str(tmp_path)))
    assert ran.recorder.out("a") == "5\n"


def test_the_file_is_there_while_the_snippet_runs_and_holds_its_text():
    source = (
        "import os\nprint(open(__file__).read(), end='')\nprint(oct(os.stat(__file__).st_mode & 0o777), __file__)\n"
    )
    ran = Ran(eval_("a", source, where="process"))
    *lines, last = ran.recorder.out("a").splitlines()
    mode, path = last.split()
    assert (lines, mode) == (source.splitlines(), "0o600")
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    "name", ["a b", "\x1b[31m\nx", "\u202e", "'\"\\{}%s", "<>", "\u00e9\U0001f600", "\0", "n" * 300]
)
def test_any_name_stands_in_the_traceback_on_one_line(name):
    ran = Ran(eval_(name, "1 / 0", where="process"))
    (label,) = [task.label for task in ran.run._tasks]
    assert ran.recorder.err(name).splitlines() == [
        "Traceback (most recent call last):",
        f'  File "<task {label}>", line 1, in <module>',
        "    1 / 0",
        "    ~~^~~",
        "ZeroDivisionError: division by zero",
    ]


def test_a_source_of_any_length_runs():
    source = f"x = '{'x' * (1 << 18)}'\nprint(len(x))"
    ran = Ran(eval_("a", source, where="process"))
    assert (ran.status("a"), ran.recorder.out("a")) == (("ok", ""), f"{1 << 18}\n")

"""A test that leaves something behind fails, and no other test does."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import LIMIT, alive, environment

START = """
import io, os, subprocess, sys, threading
import pytest
from tests.support import leftovers

# What is left behind here does not end by itself, however long it is given.
leftovers._PATIENCE = 0.0
kept = []
"""

# What a test leaves behind, and what is said of it. Processes are written to ``pids``.
LEAKS = [
    ('kept.append(subprocess.Popen(["sleep", "1000"])); print(kept[-1].pid, file=open("pids", "a"))', "processes: "),
    (
        'kept.append(subprocess.Popen(["sleep", "1000"], stdout=-1)); print(kept[-1].pid, file=open("pids", "a"))',
        "processes: ",
    ),
    # It has become what it is to be: in the middle of an exec a process has no environment to be known by.
    (
        """subprocess.run("(setsid sh -c 'echo $$; exec >&-; kill -STOP $$' 2>&- &) | cat >> pids", shell=True)""",
        "processes: ",
    ),
    ("kept.append(open(os.devnull))", "descriptors: "),
    ("threading.Thread(target=threading.Event().wait, name='fastrun-x', daemon=True).start()", "threads: "),
    ("threading.Thread.start = lambda self: None", "another Thread.start"),
    ("sys.stdout = io.StringIO()", "other streams"),
]

PAIR = """
def test_{number}_leaks():
    {leak}

def test_{number}_good(capfd):
    thread = threading.Thread(target=kept.clear)
    thread.start()
    thread.join()
    for descriptor in os.pipe():
        os.close(descriptor)
    assert subprocess.run(["echo", "x"], stdout=subprocess.PIPE, check=True).stdout == b"x\\n"
    print("printed")
    assert capfd.readouterr().out == "printed\\n"
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
"""


def test_leaks_fail_their_tests_and_no_other(tmp_path):
    pairs = [PAIR.format(number=number, leak=leak) for number, (leak, _) in enumerate(LEAKS)]
    (tmp_path / "test_it.py").write_text(START + "".join(pairs))
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tests.support.leftovers", "-W", "ignore", "-rA"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_it.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(PYTEST_ADDOPTS="", COLUMNS="1000"),
        timeout=LIMIT,
        check=False,
    )
    for number, (_, said) in enumerate(LEAKS):
        assert f"PASSED test_it.py::test_{number}_good" in result.stdout, result.stdout
        assert f" test_it.py::test_{number}_leaks - AssertionError: the test left behind: {said}" in result.stdout
    assert "\nFAILED" not in result.stdout.replace(f"\nFAILED test_it.py::test_{len(LEAKS) - 1}_leaks", "")
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    assert not any(map(alive, pids))

"""The init of a container, in a process that adopts orphans as process 1 does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.processes import LIMIT, unmeasured

# The number of the call and of what it sets: orphans among its descendants become children of this process.
ADOPTS = """
import ctypes, os, signal, sys, time
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
from fastrun.init import split_off
first = os.getpid()
split_off()
"""

ORPHANS = """
import glob
assert os.getppid() == first
children = []
for number in range(50):
    between = os.fork()
    if not between:
        if not os.fork():
            time.sleep(0.01)
        os._exit(number)
    children.append(between)
# Not one status was taken.
assert [os.waitpid(child, 0)[1] >> 8 for child in children] == list(range(50))

def of_first():
    with open(f"/proc/{first}/task/{first}/children") as file:
        return set(map(int, file.read().split()))

while of_first() != {os.getpid()}:
    time.sleep(0.001)
sys.exit(7)
"""

REFUSED = """
def refuse():
    raise BlockingIOError
os.fork = refuse
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has processes that adopt orphans")


def run(source: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", source]
    return subprocess.run(command, env=unmeasured(), capture_output=True, timeout=LIMIT, check=False)


def test_orphans_are_reaped_and_no_status_is_taken():
    result = run(ADOPTS + ORPHANS)
    assert (result.returncode, result.stderr) == (7, b"")


@pytest.mark.parametrize(("end", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", 137)])
def test_it_ends_as_the_child_does(end, code):
    assert run(ADOPTS + end).returncode == code


def test_signals_are_handed_on_once_and_act_as_before():
    # Not by print, which a signal may interrupt while it writes.
    source = "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'got\\n')); os.write(1, b'ready\\n')\n"
    command = [sys.executable, "-c", f"{ADOPTS}{source}while True: time.sleep(0.01)"]
    with subprocess.Popen(command, env=unmeasured(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == b"got\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(LIMIT) == 128 + signal.SIGUSR1
        assert process.stdout.read() == b""


def test_without_another_process_the_first_does_the_work():
    source = "assert os.getpid() == first; assert not signal.pthread_sigmask(signal.SIG_BLOCK, []); print('works')"
    result = run(ADOPTS.replace("split_off()\n", f"{REFUSED}split_off()\n") + source)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"works\n", b"")
